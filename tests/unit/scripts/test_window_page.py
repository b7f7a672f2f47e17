from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from scripts.vllm_models import MODELS
from serve.models_cli import write_review
from serve.profiles import load_profiles

PAGE = (Path(__file__).parents[3] / "docs" / "window.md").read_text(encoding="utf-8")


def test_the_page_on_windows_serves_the_model_that_its_profile_names(tmp_path: Path) -> None:
    """The commands of the page, as far as they can be followed without a server."""
    (served,) = re.findall(r"scripts\.vllm_server start --model (\S+) --port (\d+)", PAGE)
    (name,) = re.findall(r"windowfit models review (\S+)", PAGE)
    ((file, held),) = re.findall(r"cat > (\S+) <<'END'\n(.*?)END\n", PAGE, re.DOTALL)
    path = tmp_path / file
    path.write_text(held, encoding="utf-8")
    review = {"status": "approved", "role": "tests", "date": date(2026, 11, 22)}
    write_review(path, name, review)

    profile, model = load_profiles(path)[name], MODELS[served[0]]

    assert (profile.model, profile.window) == (model.served_name, model.window)
    assert profile.tokenizer.removeprefix("huggingface:").endswith(f"/{model.name}")
    assert profile.base_url == f"http://127.0.0.1:{served[1]}/v1"
    assert profile.review.status == "approved"
    assert set(re.findall(r"--model (qwen\d\S+)", PAGE)) == {name}
