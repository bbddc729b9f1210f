"""Run the shipped model with transformers alone; a logits processor keeps it to the grammar.

python examples/03_transformers.py
"""

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from crystext import (
    FORMATS,
    Constraints,
    CoordinateAutomaton,
    CrystalLM,
    GrammarProcessor,
    decode,
    generation_prompt,
    prompt_ids,
    shipped_model,
)

folder, plain = shipped_model(), FORMATS["plain"]
tokenizer = AutoTokenizer.from_pretrained(folder)
network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

# The prompt requests a formula. The model was trained to follow it; nothing here enforces it.
prompt = generation_prompt(CrystalLM.open().prompts, {"formula": "SrTiO3"})
given = torch.tensor([prompt_ids(tokenizer, prompt)] * 4)
processor = GrammarProcessor(
    tokenizer,
    given.shape[1],
    CoordinateAutomaton(plain, 1, Constraints(max_atoms=20, min_distance_ratio=0.65)),
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
    decoded = decode(tokenizer.decode(row, skip_special_tokens=True), format="plain")
    print(
        decoded.structure.composition.reduced_formula, decoded.structure.get_space_group_info(0.1)
    )
