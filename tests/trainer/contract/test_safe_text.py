"""Secrets, control codes and file names: what leaves the one place that knows them."""

from __future__ import annotations

import ast
import json
import sys
import unicodedata
from pathlib import Path

import pytest

from tests import ROOT
from trainer.contract import safe_text
from trainer.contract.safe_text import (
    clean,
    document_without_secrets,
    file_name,
    keep_secret,
    url_without_secrets,
    without_secrets,
)
from trainer.contract.spec import Failed, UserError

SECRET = "hunter2!"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql+psycopg://me:{}@host:5432/db",
        "cannot open 'postgresql+psycopg://me:a/b@c{}@host/db' now",
        "postgresql://:{}@host/db",
        "postgresql:/me:{}@host/db",
        "postgresql://me:{}",
        "me:{}@host/db",
        "postgresql://host/db?password={}&sslmode=require",
        "postgresql://host/db?sslmode=require&sslpassword={}",
        "https://me:{}@huggingface.co/api/models",
        "https://hub/x?X-Amz-Signature={}&X-Amz-Date=1",
        "https://hub/x?access_token={}",
        "host=h user=me password={} dbname=d",
        "host=h password='{} and more' dbname=d",
        "{{'user': 'me', 'password': '{}'}}",
        '{{"sslpassword": "{}"}}',
        "PGPASSWORD={} sweep run x",
        "MY_DBPASSWORD={}",
        "HF_TOKEN={}",
        "Authorization: Bearer {}",
        "{{'authorization': 'Bearer {}'}}",
        "proxy-authorization: Basic {}",
        "sent bearer {}",
        "password = {}",
        "password: {}",
        "api_key : {}",
        "postgresql://host/db?pass%77ord={}&sslmode=require",
        "x?a=1&%70assword={}",
        "postgresql://me:a b {}@host/db",
        "postgresql://me:a'b {}@host/db",
        "postgresql://me:a b@c {}@host/db",
        "password='it\\'s {}'",
        "password='it''s {}'",
        '{{"password": "a\\"{}"}}',
        "password=a'{} dbname=d",
        "password=a,{}",
        "password=a {}&sslmode=require",
        "cannot use 'postgresql://host/db?password=a {}' now",
        "host=h password=a {} dbname=d",
        "'password': '{}... (900 characters)",
        "host=h password=a {}",
        "cannot connect: host=h password=a {}\nmore",
        "password: a {} b",
        "token=x{}",
        "https://hub/x?sig={}",
    ],
)
def test_a_secret_is_hidden_wherever_its_form_tells_it(text: str) -> None:
    hidden = without_secrets(text.format(SECRET))
    assert SECRET.rstrip("!") not in hidden
    assert "***" in hidden
    assert without_secrets(hidden) == hidden
    assert SECRET.rstrip("!") not in str(UserError(text.format(SECRET)))
    failed = Failed("error", text.format(SECRET), f"Traceback\n{text.format(SECRET)}")
    assert SECRET.rstrip("!") not in failed.message + failed.traceback


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        f"postgresql://me:{SECRET}@host/db",
        f"postgresql://me:a b {SECRET}@host/db",
        f"postgresql://host/db?password={SECRET}",
        f"host=h password='{SECRET}'",
        f"password={SECRET}",
        f"Authorization: Bearer {SECRET}",
    ],
)
def test_no_sentence_in_the_code_shows_a_secret_that_is_put_into_it(form: str) -> None:
    """Every f-string of the packages that reads like a sentence, the secret in all its holes."""
    told: list[str] = []
    for package in ("sweep", "trainer", "predictor"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr) and " " in (text := _filled(node, form)):
                    told.append(text)
    assert len(told) > 500
    shown = map(safe_text.safe, told)
    assert [text for text in shown if SECRET.rstrip("!") in text] == []


def _filled(node: ast.JoinedStr, form: str) -> str:
    """A format such as :.3g or :, is of a number."""
    parts: list[str] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            shown = repr(form) if part.conversion == ord("r") else form
            parts.append("5" if part.format_spec else shown)
        else:
            assert isinstance(part, ast.Constant)
            parts.append(str(part.value))
    return "".join(parts)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////full/path.db",
        "postgresql+psycopg://user@host:5432/database",
        "http://localhost:8080/x",
        "set eos_token in its tokenizer_config.json",
        "eos_token=<|end|>",
        "key 'password' is given twice",
        "model.base: owner/name@main:train",
        "12:30:01 trial 3: lost, a@b",
        "num_tokens: 5",
        "sig=0.05, token=5",
        "sig: 1.2345678e-05, signature = 0.123456789",
        "token=12345678",
        "token: <|reserved_special_token_12|>",
        "{'token': 'assistant', 'signature': 'QA -> answer'}",
        "model.base:owner/name@v2",
        "lr:0.01@20",
        "http://localhost:8080 was asked by a@b",
        "model.password: unknown key; allowed: base",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_tokens_and_known_secrets_are_hidden_where_they_stand_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert without_secrets("no hf_abcdEFGH1234 here") == "no hf_*** here"
    assert without_secrets("hf_overrides and hf_text_config") == "hf_overrides and hf_text_config"
    monkeypatch.setenv("PGPASSWORD", "from-the-environment")
    assert without_secrets("role from-the-environment is not there") == "role *** is not there"
    monkeypatch.setattr(safe_text, "_known", set())
    keep_secret("told-to-us")
    assert without_secrets('could not translate host name "told-to-us"').endswith('"***"')
    keep_secret("1234")  # short: hidden where a library quotes it
    assert (
        without_secrets("role '1234', 'x:1234@h', step 1234") == "role '***', 'x:***@h', step 1234"
    )


def test_masking_a_long_text_is_quick() -> None:
    for text in ("a" * 100_000, "a:" * 50_000, "a://" * 25_000, "x:y@" * 25_000,
                 "password=" * 10_000, "token=" * 16_000, "token='a" * 10_000):  # fmt: skip
        without_secrets(text)  # a pattern that went back over it would not come to an end


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:s/e@c@h/d", "postgresql://me@h/d"),
        ("postgresql://me:***@h/d", "postgresql://me@h/d"),
        ("postgresql://h/d?password=x&sslmode=require", "postgresql://h/d?sslmode=require"),
        ("postgresql://h/d?password=x#study", "postgresql://h/d#study"),
        ("postgresql://h:5432/d", "postgresql://h:5432/d"),
        ("postgresql://h1:5432,h2:5432/d", "postgresql://h1:5432,h2:5432/d"),
        ("postgresql://[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql://me:hunter2", "postgresql://me"),
        ("postgresql://me:hunter2/d#study", "postgresql://me/d#study"),
        ("postgresql://h/d?pass%77ord=x&a=b", "postgresql://h/d?a=b"),
        ("sqlite:////a:b@c/study.db", "sqlite:////a:b@c/study.db"),
        ("runs/old", "runs/old"),
    ],
)
def test_a_url_is_kept_without_its_password(url: str, kept: str) -> None:
    assert url_without_secrets(url) == kept


def test_a_document_stays_what_it_was_but_for_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_text, "_known", set())  # what other tests said is none of its own
    document = {"password": "x", "n": [1, None, True], "url": "a://u:secret@h", "x": {"k": 1.5}}
    hidden = document_without_secrets(document)
    assert hidden == {**document, "password": "***", "url": "a://u:***@h"}
    assert json.loads(json.dumps(hidden)) == hidden
    ordinary = {"token": "the", "sig": 0.05, "signature": "0.123456789", "key": 1, "secret": None}
    assert document_without_secrets(ordinary) == ordinary
    listed = {"password": ["x", 12], "hf_token": "y", "token": "a1b2c3d4e5"}
    told = {"password": ["***", "***"], "hf_token": "***", "token": "***"}
    assert document_without_secrets(listed) == told


@pytest.mark.slow
def test_no_character_that_moves_or_hides_anything_is_left() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    left = {unicodedata.category(char) for char in set(clean(everything)) - set("\n\t")}
    assert not left & {"Cc", "Cf", "Zl", "Zp", "Cs"}
    assert clean("a\x1b[31mb\u202ec\U000e0041") == "a\\x1b[31mb\\u202ec\\U000e0041"
    assert clean("Größe 漢字 é\n\t🙂") == "Größe 漢字 é\n\t🙂"


@pytest.mark.parametrize(
    "name",
    ["../../../x", "/etc/passwd", "a/b", "a\0b", "NUL", "con.txt", "", "..", ".", "-rf", "x" * 999,
     "\u202egnp", "\udcff", "~", "C:\\x", "a\nb", " ", "ends."],
)  # fmt: skip
def test_a_name_from_elsewhere_names_one_file_here(tmp_path: Path, name: str) -> None:
    made = tmp_path / f"{file_name(name)}_runs.parquet"
    made.touch()
    assert [path.name for path in tmp_path.iterdir()] == [made.name]
    assert made.resolve().parent == tmp_path.resolve()
    assert not file_name(name).startswith(("-", ".")) and file_name(name) != name
    assert file_name(name) != file_name(name + "!")


def test_a_harmless_name_is_its_own_file_name() -> None:
    for name in ("demo", "my.study-2", "a b", "_x", "7"):
        assert file_name(name) == name
