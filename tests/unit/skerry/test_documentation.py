"""The SDK's page: its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import skerry

from tests.fakes.control_plane import TOKEN, FakeControlPlane

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sdk-python.md"


async def test_the_example_of_the_page_runs(
    fake: FakeControlPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = code.replace("asyncio.run(main())", "")
    connect = 'skerry.Client("cloud.example:7070", "skt_…", ca=Path("ca.crt"))'
    assert connect in code
    code = code.replace(connect, f"skerry.Client({fake.address!r}, {TOKEN!r}, insecure=True)")
    (tmp_path / "docker-compose.yml").write_text("services: {web: {image: nginx}}")
    monkeypatch.chdir(tmp_path)
    fake.add_app("web")
    del fake.environments["organizations/default/projects/shop/environments/prod"]
    del fake.projects["organizations/default/projects/shop"]
    names: dict[str, object] = {"skerry": skerry}
    exec(compile(code, str(PAGE), "exec"), names)
    await names["main"]()  # type: ignore[operator]
    assert capsys.readouterr().out == (
        "organizations/default/projects/shop/environments/prod/apps/web 1\n"
    )
    assert [file.path for file in fake.requests("DeployApp")[0].bundle.files] == [
        "docker-compose.yml"
    ]
