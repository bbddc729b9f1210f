"""Instructions: questions about crystals with right answers, to train and to benchmark chat models.

`base` defines a task, `registry` names all, and each file of `tasks` holds one kind: it makes a
question from a crystal, knows the right answer, and grades answers. `words` are prompt sets,
`printed` shows crystals in questions, and `answers` reads what models say. `build` writes a data
set that is split by material, `check` verifies one, and `suite` asks its questions in a benchmark.

The thirteen tasks are those of LLaMat (arXiv:2412.09560). Their definitions are corrected where the
published code measures something else; `compat` has its scores.
"""
