"""Run the shipped model with transformers alone; a logits processor keeps it to the grammar.

python examples/03_transformers.py
"""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import crystext
from crystext.conditions.constraints import Constraints
from crystext.grammar.any_tokenizer import GrammarProcessor
from crystext.grammar.automaton import CoordinateAutomaton
from crystext.runtime.resources import shipped_model
from crystext.tasks.generation import generation_prompt
from crystext.tasks.prompts import load_prompts
from crystext.text import PLAIN
from crystext.tokenization.encode import prompt_ids

folder = shipped_model()
tokenizer = AutoTokenizer.from_pretrained(folder)
network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

# The prompt asks for a formula. The model was trained to follow it; nothing here enforces it.
prompt = generation_prompt(load_prompts(folder / "prompts"), {"formula": "SrTiO3"})
given = torch.tensor([prompt_ids(tokenizer, prompt)] * 4)
processor = GrammarProcessor(
    tokenizer,
    given.shape[1],
    CoordinateAutomaton(PLAIN, 1, Constraints(max_atoms=20, min_distance_ratio=0.65)),
)
torch.manual_seed(0)
# Lower than the model's own temperature, which is set for variety in unconditional sampling.
generated = network.generate(
    given,
    do_sample=True,
    temperature=0.3,
    max_new_tokens=100,
    logits_processor=[processor],
    top_k=0,
)
for row in generated[:, given.shape[1] :]:
    decoded = crystext.decode(tokenizer.decode(row, skip_special_tokens=True), format=PLAIN)
    print(
        decoded.structure.composition.reduced_formula, decoded.structure.get_space_group_info(0.1)
    )
