"""Text that means harm, and how to tell that it did none."""

from __future__ import annotations

import re

#: Colours, a title, a cleared screen, a link, a report of the terminal, and C1's one-byte introducer.
ESCAPES = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x1b[H \x1b]8;;http://x\x1b\\y\x1b]8;;\x1b\\ \x1b[6n \x9b31m \x08\x08"
)
#: Marks that turn the direction of reading, and line ends that only some programs know.
MARKS = "\u202egpj.exe\u202c \u200e\u200f\u061c \u2066x\u2069 \u2028next\u2029 \x85"
#: What would forge lines: of a JSON log, of a log for people, of HTTP, of a table.
FORGED = '\n{"level":"error","event":"forged"}\r\n2026-01-01T00:00:00Z [error] forged\r\nSet-Cookie: forged\r\n\r\n'
#: Markup of Rich, of HTML, of a shell, of printf, of str.format, of structlog.
MARKUP = (
    "[red]x[/red] [link=http://x]y[/link] <script>alert(1)</script> $(touch /tmp/owned) `id` %s%n {0} {topic} ${HOME}"
)
#: A payload, a key, an error message, a value of a user property.
TEXT = f"begin {ESCAPES} {MARKS} {FORGED} {MARKUP} end"

#: Characters that no terminal may be sent; a line's own end is looked at apart.
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

#: Topics as MQTT allows them, by what they try.
TOPICS = {
    "a path upwards": "in/../../../../tmp/owned",
    "a path from the root": "in//etc/passwd",
    "empty levels": "in///",
    "a shell": "in/$(touch owned);`id`|cat",
    "a format": "in/%s%n{0}{topic}${HOME}",
    "markup": "in/[red]x[/red]<script>",
    "right to left": "in/\u202egpj.exe",
    "emoji": "in/\U0001f3ed/\U0001f469\u200d\U0001f527",
    "combining": "in/e\u0301\u0323" + "\u0301" * 50,
    "60 KB": "in/" + "x" * 60_000,
    "200 levels": "in" + "/y" * 199,
    "spaces": "in/ a b /\u00a0/\u3000",
    "a byte order mark": "in/\ufeffbom",
    "a name of SQL": "in/'; DROP TABLE runs; --",
}
