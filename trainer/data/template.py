"""Reading a chat template of the user's own."""

from __future__ import annotations

from pathlib import Path

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

from trainer.contract.outside import cause_of
from trainer.contract.spec import UserError
from trainer.data.readers import ENCODING, not_utf8


def read_template(file: str) -> str:
    """A chat template. Raises UserError where the file cannot be read, or is not Jinja."""
    path = Path(file).expanduser()
    try:
        template = path.read_text(encoding=ENCODING)
    except FileNotFoundError:
        raise UserError(f"data.template: {file}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"data.template: {file}, {not_utf8(path)}") from None
    except OSError as error:
        if cause_of(error):
            raise
        raise UserError(f"data.template: {file}: cannot be read ({error.strerror})") from None
    if not template.strip():
        raise UserError(f"data.template: {file} is empty; it holds a chat template in Jinja")
    try:
        render_jinja_template([[]], chat_template=template)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(
            f"data.template: {file}, line {error.lineno}: invalid Jinja ({error.message})"
        ) from None
    except Exception:  # valid, but it wants messages, which are still to come
        pass
    return template
