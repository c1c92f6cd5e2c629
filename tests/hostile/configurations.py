"""A kind of attack on the config.json of a model that `hf/*` is asked to build."""

import json
from pathlib import Path
from random import Random

from hostile import shapes
from hostile.attack import REFUSED, Attack
from hostile.parts import NO_FILES
from hostile.texts import text

CONFIGURATION = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 64,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
PLACES = ["model", "model/", "./model/config.json"]


def configurations(rng: Random, work: Path) -> Attack:
    """A model's config.json that is none, or asks for what is refused."""
    file = work / "model" / "config.json"
    file.parent.mkdir()
    way = rng.randrange(6)
    if way == 0:
        rng.choice(NO_FILES)(file)
    elif way == 1:
        file.write_text(shapes.broken(rng, json.dumps(CONFIGURATION)))
    elif way == 2:
        file.write_text(shapes.renamed(rng, CONFIGURATION), errors="replace")
    elif way == 3:
        more = {"auto_map": {"AutoConfig": rng.choice(["evil.Evil", "../evil--x.Y", text(rng)])}}
        file.write_text(json.dumps(CONFIGURATION | more))
    else:
        file.write_text(shapes.changed(rng, CONFIGURATION), errors="replace")
    (work / "model" / "evil.py").write_text("open('EVIL', 'w')\n")
    (work / "model" / "configuration_llama.py").write_text("open('EVIL', 'w')\n")
    kind = rng.choice(["hf/train", "hf/prefill", "hf/decode"])
    return Attack(
        ["run", kind, "--set", f"model={rng.choice(PLACES)}"],
        frozenset({REFUSED}),
    )
