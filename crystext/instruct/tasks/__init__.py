"""The instruction tasks: one file for each kind; `instruct.registry` names them."""
