"""Methods that every figure of a language model is compared with: mean, forest and network.

They read compositions, or molecules where no record has a composition; structures are not read, so
that polymorphs get one answer.
"""
