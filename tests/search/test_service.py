"""The service as a program sees it: what it answers, what it refuses, and what it leaves on disk."""

import gc
import io
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile
import torch
from fastapi.testclient import TestClient

from fxcore.errors import FxError
from fxcore.export import FORMATS, load
from search import Search
from search.board import board_json
from search.listening import kept
from search.references import references
from search.service import api, listenable
from search.service.app import create_app
from search.service.processes import import_pair
from search.service.protection import POLICY, is_loopback, load_token
from search.service.watching import revision
from search.storage import Storage

HERE = "http://127.0.0.1:8000"
ABX = {
    "kind": "abx",
    "form": "nearer",
    "model": "trial-0",
    "loop": "loud",
    "answers": [{"a": "dry", "b": "wet", "x": "trial-0", "answer": "b"}],
}


@pytest.fixture(scope="module")
def client(root: Storage) -> Iterator[TestClient]:
    with TestClient(create_app(root), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def refusal(answer: httpx2.Response, status: int) -> str:
    """What a problem says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    values = answer.json()
    assert values["status"] == status
    assert "Traceback" not in answer.text
    return values["detail"]


def test_the_board_is_that_of_the_command_line(client, root):
    search = Search("tiny", root)
    expected = board_json(search, search.trials(), references(search.store()))
    assert client.get("/api/searches/tiny/board").json() == json.loads(json.dumps(expected))
    some = client.get("/api/searches/tiny/board", params={"where": "family=conv", "limit": 1}).json()
    assert [trial["family"] for trial in some["trials"]] == ["conv"]
    assert "unknown name" in refusal(client.get("/api/searches/tiny/board?where=x=1"), 422)


def test_searches_are_listed_and_shown(client):
    (line,) = client.get("/api/searches").json()
    assert (line["search"], line["state"], line["trials"]) == ("tiny", "complete", 3)
    shown = client.get("/api/searches/tiny").json()
    assert shown["spec"]["name"] == "tiny"
    assert shown["state"] == "complete"


def test_curves_are_the_reports_of_the_best_trials(client, root):
    search = Search("tiny", root)
    found = client.get("/api/searches/tiny/curves", params={"best": 2}).json()
    assert found["objective"] == "log_mel_share"
    assert [curve["trial"] for curve in found["curves"]] == [row.id for row in search.trials()[:2]]
    for curve in found["curves"]:
        reports = search.study.reports(curve["trial"])
        assert curve["values"] == [report.metrics["log_mel_share"] for report in reports]
        assert curve["compute_seconds"] == [report.compute_seconds for report in reports]


def test_sounds_are_flac_of_one_length_and_the_input_is_the_dry_as_it_is(client, root):
    best = Search("tiny", root).best().id
    heard = {}
    for key in ("input", "dry", "wet", "anchor", f"trial-{best}"):
        answer = client.get(f"/api/searches/tiny/sounds/{key}.flac")
        assert answer.headers["content-type"] == "audio/flac"
        heard[key], rate = soundfile.read(io.BytesIO(answer.content))
        assert rate == 8000
    assert len({len(signal) for signal in heard.values()}) == 1
    found = listenable.material(root.search("tiny"), "tiny")
    np.testing.assert_allclose(heard["input"], np.clip(found.heard[0], -1, 1), atol=2**-14)
    assert np.corrcoef(heard["wet"], found.wet[0])[0, 1] > 0.999


def test_a_trial_sounds_as_its_model_does_after_all_that_came_before(client, root):
    search = Search("tiny", root)
    row = next(row for row in search.trials() if row.family == "lstm")
    (sound,) = [client.get(f"/api/searches/tiny/sounds/trial-{row.id}.flac").content]
    heard = soundfile.read(io.BytesIO(sound))[0]
    found = listenable.material(root.search("tiny"), "tiny")
    pred = search.playable(row.id).model.predict(torch.as_tensor(found.dry)[None], found.start_sample)
    pred = pred[0, 0, -len(heard) :].numpy()
    scale = np.dot(heard, pred) / np.dot(pred, pred)
    np.testing.assert_allclose(heard, scale * pred, atol=1e-3)


@pytest.mark.parametrize("kind", ["safetensors", "nam"])
def test_a_model_is_exported_as_a_file(client, root, tmp_path, kind):
    row = next(row for row in Search("tiny", root).trials() if row.family == "lstm")
    answer = client.get(f"/api/searches/tiny/models/{row.id}.{kind}")
    assert answer.headers["content-disposition"] == f'attachment; filename="tiny-{row.id}.{kind}"'
    path = tmp_path / f"model{FORMATS[kind].extension}"
    path.write_bytes(answer.content)
    assert load(path).facts["trial"] == row.id


def test_what_is_not_there_is_not_found(client, root):
    conv = next(row for row in Search("tiny", root).trials() if row.family == "conv")
    assert "did you mean 'tiny'" in refusal(client.get("/api/searches/tny"), 404)
    for path in ("board", "curves", "sounds/dry.flac", "models/0.nam", "events", "report.html", "listening"):
        refusal(client.get(f"/api/searches/none/{path}"), 404)
    refusal(client.get("/api/searches/tiny/sounds/trial-99.flac"), 409)
    refusal(client.get("/api/searches/tiny/models/0.exe"), 404)
    assert "nam file holds" in refusal(client.get(f"/api/searches/tiny/models/{conv.id}.nam"), 422)
    refusal(client.get("/nothing"), 404)
    for path in ("/static/report.html", "/static/..%2f..%2fcli%2f__init__.py", "/vendor/../package.json"):
        assert client.get(path).status_code in (404, 422)


@pytest.mark.parametrize(
    "name", ["..%2ftiny", "%2e%2e%2ftiny", "tiny%00", ".hidden", "a" * 65, "tiny%0a", "café"]
)
def test_names_cannot_leave_the_root(client, name):
    for path in (f"/api/searches/{name}", f"/searches/{name}", f"/api/searches/{name}/board"):
        assert client.get(path).status_code in (404, 405, 422)


@pytest.mark.parametrize(
    "data",
    [
        "/etc",
        "../x",
        "stores/../../x",
        "./stores/fuzz",
        "~/x",
        "s3://bucket/x",
        "file:///etc",
        "stores//fuzz",
        "",
    ],
)
def test_a_search_learns_from_stores_below_the_root_only(client, root, data):
    spec = {"name": "new", "data": data, "budget": {"trial_steps": 1}}
    assert "data must name a store" in refusal(client.post("/api/searches", json=spec), 422)
    assert not root.search("new").exists()


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"name": "tiny"}, 409, "exists already"),
        ({"name": "../x"}, 422, "name"),
        ({"data": "stores/none"}, 422, "no store 'stores/none'"),
        ({"families": {"lsmt": None}}, 422, "did you mean 'lstm'"),
        ({"budget": {"trial_steps": 1, "trails": 3}}, 422, "unknown key 'budget.trails'"),
        ({"effect": {"kind": "command"}}, 422, "unknown key 'effect'"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_anything_runs(client, root, changes, status, message):
    spec = {"name": "new", "data": "stores/fuzz", "budget": {"trial_steps": 1}, **changes}
    assert message in refusal(client.post("/api/searches", json=spec), status)
    assert not root.search("new").exists()
    refusal(client.post("/api/searches", content=b"{"), 422)


def test_a_store_beyond_a_link_is_refused(client, root, tmp_path):
    (root.root / "stores" / "linked").symlink_to(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    spec = {"name": "new", "data": "stores/linked", "budget": {"trial_steps": 1}}
    try:
        assert "no store" in refusal(client.post("/api/searches", json=spec), 422)
    finally:
        (root.root / "stores" / "linked").unlink()


def test_results_of_listening_tests_are_kept_with_the_search(client, root):
    assert client.post("/api/searches/tiny/listening", json=ABX).status_code == 201
    (result,) = kept(root.search("tiny"))
    assert result.as_dict() == client.get("/api/searches/tiny/listening").json()[0]
    assert (
        "abx,nearer,trial-0,loud,1,dry,wet,trial-0,b,1" in client.get("/api/searches/tiny/listening.csv").text
    )
    for bad in ({**ABX, "model": "dry"}, {"kind": "other"}, [], 3):
        refusal(client.post("/api/searches/tiny/listening", json=bad), 422)
    refusal(client.post("/api/searches/tiny/listening", content=b"[" * 100_000), 422)
    assert len(kept(root.search("tiny"))) == 1


def test_a_pair_is_imported_and_what_was_found_in_it_told(client, root, recorded_pair):
    files = {s: (p.name, p.read_bytes()) for s, p in zip(("dry", "wet"), recorded_pair, strict=True)}
    answer = client.post("/api/stores/amp", files=files)
    assert answer.status_code == 201, answer.text
    assert abs(answer.json()["latency_samples"] - 20) <= 16
    assert "stores/amp" in [store["store"] for store in client.get("/api/stores").json()]
    assert "exists already" in refusal(client.post("/api/stores/amp", files={"dry": b"x", "wet": b"x"}), 409)
    bad = {"dry": ("x.wav", b"RIFF"), "wet": ("y.wav", b"no audio")}
    assert "cannot be read as audio" in refusal(client.post("/api/stores/bad", files=bad), 400)
    assert not (root.root / "stores" / "bad").exists()


def test_an_upload_that_decodes_to_hours_is_refused(tmp_path):
    hours = np.zeros(2 * 3600 * 8000, np.int16)
    soundfile.write(tmp_path / "dry.flac", hours, 8000)
    assert (tmp_path / "dry.flac").stat().st_size < 2 << 20
    with pytest.raises(FxError, match=r"lasts 1800 s at most; dry\.flac lasts 7200 s"):
        import_pair(tmp_path / "dry.flac", tmp_path / "dry.flac", tmp_path / "store", 1800.0)


def test_a_body_beyond_its_limit_is_refused_while_it_comes(client, monkeypatch):
    assert "at most" in refusal(client.post("/api/searches", content=b" " * (2 << 20)), 413)
    monkeypatch.setattr(api, "MOST_UPLOAD_BYTES", 1000)
    files = {"dry": b"x" * 3000, "wet": b"x"}
    assert "at most 1,000 bytes" in refusal(client.post("/api/stores/big", files=files), 413)


def test_only_its_own_pages_change_anything(client):
    path = "/api/searches/tiny/pause"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": HERE},
    ):
        assert "another origin" in refusal(client.post(path, headers=headers), 403)
    for headers in ({}, {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}):
        assert "not running" in refusal(client.post(path, headers=headers), 409)


def test_on_loopback_no_other_host_name_is_answered(client):
    assert "localhost only" in refusal(client.get("/", headers={"Host": "evil.example:8000"}), 403)
    assert client.get("/", headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get("/", headers={"Host": "[::1]:8000"}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_is_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", ""])
def test_all_else_is_not_loopback(host):
    assert not is_loopback(host)


def test_elsewhere_a_token_is_needed_and_a_cookie_holds_it(root):
    token, path = load_token(root.root)
    assert (path.stat().st_mode & 0o777, load_token(root.root)[0]) == (0o600, token)
    with TestClient(create_app(root, token), base_url="http://studio:8000") as client:
        assert "token is needed" in refusal(client.get("/api/searches"), 401)
        assert client.get("/api/searches", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        for wrong in ("Bearer x", f"Basic {token}", "Bearer", f"Bearer {token}é"):
            refusal(client.get("/api/searches", headers={"Authorization": wrong.encode()}), 401)
        refusal(client.get("/api/searches", params={"token": token}), 401)
        page = client.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        assert client.post("/login", data={"token": "wrong"}).status_code == 401
        answer = client.post("/login", data={"token": token}, follow_redirects=False)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert client.get("/api/searches").status_code == 200
    (root.root / "service.token").unlink()


@pytest.mark.parametrize(
    "path", ["/", "/new", "/searches/tiny", "/api/searches", "/nothing", "/static/page.css"]
)
def test_every_answer_says_what_a_page_may_load(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe-inline" not in POLICY.split("script-src")[1].split(";")[0]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/", "tiny"),
        ("/searches/tiny", "dry signal"),
        ("/searches/tiny/board", "repeatability floor"),
        ("/searches/tiny/parallel", "<svg"),
        ("/searches/tiny/listen", "listening-data"),
        ("/searches/tiny/play", "Input level"),
        ("/new", "From a recording"),
        ("/new?store=stores/fuzz", "How to search"),
        ("/login", "Token"),
    ],
)
def test_pages_show_what_they_are_for_and_hold_no_script_of_their_own(client, path, shown):
    answer = client.get(path)
    assert answer.status_code == 200
    assert shown in answer.text
    scripts = [part.split(">")[0] for part in answer.text.split("<script")[1:]]
    assert all('src="/' in script or "application/json" in script for script in scripts)
    assert "http://" not in answer.text.replace("http://www.w3.org", "")


def test_a_mistake_in_a_page_is_told_in_a_page(client):
    answer = client.get("/searches/none", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "no search &#39;none&#39;" in answer.text
    form = {"name": "tiny", "store": "stores/fuzz", "trials": "1", "trial_seconds": "1"}
    answer = client.post("/new", data=form)
    assert answer.status_code == 422
    assert "exists already" in answer.text


def test_the_report_is_downloaded(client, monkeypatch):
    monkeypatch.setattr(api, "TOP", 1)
    answer = client.get("/api/searches/tiny/report.html")
    assert answer.headers["content-disposition"] == 'attachment; filename="tiny.html"'
    assert answer.text.startswith("<!doctype html>")


def test_a_fault_of_its_own_shows_no_trace(root, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("secret /path")

    monkeypatch.setattr(api, "overview", broken)
    with TestClient(create_app(root), base_url=HERE, raise_server_exceptions=False) as client:
        detail = refusal(client.get("/api/searches"), 500)
    assert "secret" not in detail


def test_the_openapi_schema_names_every_route(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert "/api/searches/{name}/board" in paths
    assert not [path for path in paths if not path.startswith("/api/")]


def add_line(folder: Path) -> None:
    """As if a listening test had been kept."""
    with (folder / "listening.jsonl").open("a") as file:
        file.write("\n")


def test_a_revision_changes_with_the_record(root):
    before = revision(root, "tiny")
    assert revision(root, "tiny") == before
    add_line(root.search("tiny"))
    assert revision(root, "tiny") != before


def test_viewers_are_told_at_once_and_after_a_change(root, address):
    with httpx2.stream("GET", f"{address}/api/searches/tiny/events", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: changed"
        add_line(root.search("tiny"))
        assert "event: changed" in (next(lines) for _ in range(4))


def grow(record: Path, n_trials: int) -> None:
    """Copy a complete trial within a search's record until there are so many."""
    with sqlite3.connect(record) as database:
        ((trial, top, n_known),) = database.execute(
            "SELECT min(trial_id), max(trial_id), count(*) FROM trials"
        )
        counted = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n_trials - n_known})"
        )
        for table in ("trials", "trial_user_attributes", "trial_values", "trial_intermediate_values"):
            names = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
            values = {name: name for name in names}
            values[names[0]] = f"(SELECT max({names[0]}) FROM {table}) + row_number() OVER ()"
            values |= {"trial_id": f"{top} + i", "number": f"{n_known - 1} + i"}
            chosen = ", ".join(values[name] for name in names)
            database.execute(
                f"INSERT INTO {table} {counted} SELECT {chosen} FROM {table}, n WHERE trial_id = {trial}"
            )


@pytest.mark.slow
def test_a_board_of_ten_thousand_trials_takes_less_than_two_seconds(root):
    shutil.copytree(root.search("tiny"), root.search("big"))
    with sqlite3.connect(root.search("big") / "study.db") as database:
        database.execute("UPDATE studies SET study_name = 'big'")
    grow(root.search("big") / "study.db", 10_000)
    gc.freeze()  # what other tests left in this process is not the page's to look through
    spent = []
    for _ in range(2):
        with TestClient(create_app(root), base_url=HERE) as client:
            client.get("/searches/tiny")  # what is imported at first
            start = time.process_time()
            page = client.get("/searches/big").text
            spent.append(time.process_time() - start)
    gc.unfreeze()
    assert min(spent) < 2.0
    assert "10000 trials begun" in page
    assert page.count("<tr") == 1 + 100 + 2
    shutil.rmtree(root.search("big"))


@pytest.mark.slow
def test_a_launched_search_outlives_the_service_and_is_extended(root):
    spec = {
        "name": "launched",
        "data": "stores/fuzz",
        "budget": {"trials": 1, "trial_steps": 40},
        "families": {"lstm": {"hidden": [4, 8]}},
        "structured": False,
        "training": {"batch": 2, "block_samples": 256, "blocks": 1},
    }
    with TestClient(create_app(root), base_url=HERE) as client:
        assert client.post("/api/searches", json=spec).status_code == 201
    with TestClient(create_app(root), base_url=HERE) as client:  # another service
        assert wait_for(client, "complete", 1)
        assert client.post("/api/searches/launched/extend", json={"trials": 1}).status_code == 202
        assert wait_for(client, "complete", 2)


def wait_for(client: TestClient, state: str, trials: int) -> bool:
    limit = time.monotonic() + 150
    while time.monotonic() < limit:
        board = client.get("/api/searches/launched/board").json()
        ended = sum(row["state"] not in ("running", "waiting") for row in board["trials"])
        if (board["state"], ended) == (state, trials):
            return True
        time.sleep(0.5)
    return False
