"""Chat templates for the tiny model's tokenizer, whose one control token is <|end|>."""

from __future__ import annotations

ASK = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
END = "<|end|>{{ '\n' }}"  # a bare newline behind a tag would be trimmed
PLAIN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}" + END + "{% endfor %}" + ASK
MARKED = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<|end|>{% endgeneration %}{{ '\n' }}"
    "{% else %}{{ m.content }}" + END + "{% endif %}{% endfor %}" + ASK
)
TOOLS = "{% if tools %}<|tools|>{{ tools | tojson }}{% endif %}" + PLAIN.replace(
    "{{ m.content }}",
    "{{ m.content }}{% for c in m.tool_calls or [] %}"
    "<call>{{ c.function | tojson }}</call>{% endfor %}",
)
