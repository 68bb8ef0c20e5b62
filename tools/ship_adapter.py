"""Put a trained adapter into the package: its best checkpoint, or a given one, as bfloat16.

python tools/ship_adapter.py runs/compact-both
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from safetensors.torch import load_file, save_file

from policy.listener import CARD, LORA, LORA_CONFIG, SENSES
from policy.lm import ADAPTER
from policy.training.compact_config import trained

BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What the base is called where others load the adapter with peft."""

MOST_BYTES = 16 * 1024 * 1024


def main() -> None:
    """Convert and copy."""
    found = trained(Path(sys.argv[1]))
    ADAPTER.mkdir(parents=True, exist_ok=True)
    for name in (LORA, SENSES):
        weights = {key: value.to(torch.bfloat16).contiguous() for key, value in load_file(found / name).items()}
        save_file(weights, ADAPTER / name)
        (ADAPTER / name).chmod(0o644)
    shutil.copyfile(found / CARD, ADAPTER / CARD)
    config = json.loads((found / LORA_CONFIG).read_text(encoding="utf-8"))
    config |= {"base_model_name_or_path": BASE, "target_modules": sorted(config["target_modules"])}
    (ADAPTER / LORA_CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in ADAPTER.iterdir())
    sys.stdout.write(f"{found} -> {ADAPTER}: {size / 1e6:.1f} MB\n")
    if size > MOST_BYTES:
        sys.exit(f"that is more than {MOST_BYTES / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
