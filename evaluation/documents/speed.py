"""Figures of speed, and of the precision of the texts."""

from __future__ import annotations

from evaluation.documents.sources import (
    figure,
    independent,
    made_by,
    newest,
    percent,
    read,
    whose,
)
from evaluation.result_file import INDEPENDENT


@figure("speed.sampling")
def sampling() -> str:
    """How long 10,000 crystals take, beside `generate` of transformers."""
    path = newest("sampling_speed")
    found = read(path)
    wyckoff, plain, generate = (found[name] for name in ("wyckoff", "plain", "generate"))
    memory = max(wyckoff["peak_memory_gb"], plain["peak_memory_gb"])
    return (
        f"On two cores of an AMD EPYC, {found['n']:,} crystals of {whose(path)} took "
        f"{wyckoff['seconds']:.0f} s in the Wyckoff format, at {wyckoff['mean_tokens']:.0f} tokens "
        f"each, and {plain['seconds']:.0f} s in the plain text, at {plain['mean_tokens']:.0f} "
        f"tokens each, with at most {memory:.1f} GB of memory in all processes. `model.generate` "
        f"of transformers sampled {generate['crystals_per_second']:.0f} plain texts a second from "
        "the same weights in the same run, without constraints, and "
        f"{percent(generate['share_that_are_crystals'], 0)} of them were crystals "
        f"{made_by(path, 'speed.sampling_speed')}."
    )


@figure("speed.enforcement")
def enforcement() -> str:
    """What enforcing a condition costs."""
    path = newest("enforcement_cost")
    found = read(path)
    lost = [
        row["throughput_lost_in_texts"] for t in ("plain", "wyckoff") for row in found[t].values()
    ]
    return (
        "Enforcing a formula, elements or a crystal system costs at most "
        f"{percent(max(lost), 0)} of the texts a second, and often saves some "
        f"{made_by(path, 'speed.enforcement_cost')}."
    )


@figure("speed.texts")
def texts() -> str:
    """Crystals per second through the codec."""
    found = independent("codec_speed")["crystals_per_second"]
    return (
        "On one core, augmenting a crystal, writing its text and cutting it into tokens: "
        f"{found['augmented text and token ids']:,} a second. Reading texts: "
        f"{found['decoding']:,} a second, or {found['decoding to a pymatgen structure']:,} with a "
        "pymatgen structure made of each. The published route (parse the CIF, translate, format) "
        f"does {found['published route to augmented text']:,} a second "
        f"{made_by(INDEPENDENT / 'codec_speed.json', 'speed.codec_speed')}."
    )


@figure("precision")
def precision() -> str:
    """How many crystals keep their space group in the plain text."""
    result = independent("precision_plain")
    found = result["precisions"]["plain"]
    return (
        f"Of the {result['crystals']:,} crystals of MP-20 test, "
        f"{percent(found['kept_at_symprec_0.1'], 2)} keep their space group in the `plain` "
        f"format, and {percent(found['kept_when_shifted_at_symprec_0.1'], 2)} after a random "
        f"translation {made_by(INDEPENDENT / 'precision_plain.json', 'measure.precision')}."
    )


@figure("wyckoff_round_trip")
def round_trip() -> str:
    """How many crystals come back from the Wyckoff format."""
    found = independent("symmetry_round_trip")
    row = found["shares"]["came_back"]
    return (
        f"Of the {row['count'] + len(found['lost']):,} crystals of MP-20 test "
        f"{percent(row['share'])} come back with their space group and match "
        f"{made_by(INDEPENDENT / 'symmetry_round_trip.json', 'measure.symmetry_round_trip')}."
    )


@figure("speed.training")
def training() -> str:
    """How fast stores are made and read, and how fast training is."""
    data, found = independent("data_speed"), independent("training_speed")
    thousands = round(data["feeding"]["tokens_per_second"], -3)
    once = round(found["data_tokens_per_second"], -3)
    return (
        "One core compares crystals, determines their symmetry and writes them to a store at "
        f"{data['preparing']['crystals_per_second']:.0f} crystals a second; "
        f"{data['loading']['crystals']:,} load in milliseconds, and examples are made at "
        f"{thousands:,} tokens a second "
        f"{made_by(INDEPENDENT / 'data_speed.json', 'speed.data_speed')}, and at {once:,.0f} when "
        "each crystal is seen for the first time. Packed rows give "
        f"{found['ratio']:.1f} times the tokens a second of a plain Hugging Face Trainer, and two "
        "cores train the shipped model's network on "
        f"{found['from_scratch_tokens_per_second']:,.0f} tokens a second "
        f"{made_by(INDEPENDENT / 'training_speed.json', 'speed.training_speed')}."
    )
