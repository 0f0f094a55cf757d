"""Plain-text equations as MathML, which browsers set themselves: no script, no font, no network.

The docstrings write `y_i = sum_j softmax_j(d^-1/2 q_i . k_j) v_j`. A line is cut into cells where
two or more spaces stand; a cell is an equation, or words about one.
"""

from __future__ import annotations

import re
from html import escape

GREEK = dict(
    alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ε", eps="ε", zeta="ζ", eta="η",
    theta="θ", kappa="κ", lamda="λ", mu="μ", nu="ν", xi="ξ", pi="π", rho="ρ", sigma="σ",
    tau="τ", phi="φ", chi="χ", psi="ψ", omega="ω", Gamma="Γ", Delta="Δ", Theta="Θ", Phi="Φ",
    Psi="Ψ", Omega="Ω", Sigma="Σ", Lambda="Λ",
)  # fmt: skip
GREEK["lambda"] = "λ"
LARGE = {"sum": "∑", "prod": "∏"}
OPERATORS = {
    "->": "→", "<=": "≤", ">=": "≥", "!=": "≠", "||": "‖", "...": "…", "..": "…", "*": "∗",
    "-": "−", "~": "∼", ".": "⋅", "'": "′",
}  # fmt: skip
TOKEN = re.compile(
    r"\s+|\d[\d,]*\d(?!\w)|\d+(?:\.\d+)?(?:e-?\d+)?|[A-Za-z]+\d+(?:[a-z]\d*)?(?![A-Za-z])|"
    r"[A-Za-z]+|->|<=|>=|!=|\|\||\.{2,3}|."
)
WORD = re.compile(r"(?<![\w'])[a-z]{2,}(?![\w(^])")
FUNCTIONS = frozenset(
    "sum prod mean max min exp log sin cos tan tanh sqrt sigmoid softmax softplus relu gelu silu "
    "conv pool up std var concat norm act if bn ln gn mod".split()
) | GREEK.keys()  # fmt: skip
CELLS = re.compile(r"\s{2,}(?![=*+]\s)")  # not where signs are aligned over two lines
LABEL = re.compile(r"([A-Za-z][\w ,-]{2,40}:)(?:\s+|$)")
INLINE = re.compile(r"(?<![\w`/.])(?:[A-Za-z]|[a-z]*(?:alpha|beta|gamma|sigma|theta|lambda|mu))"
                    r"(?:[_^](?:\{[^}]*\}|-?\w+))+'?(?![\w`(])")  # fmt: skip
CLOSING = {"(": ")", "[": "]", "{": "}"}


def block(lines: list[str]) -> str:
    """A block of equations as HTML: a line each, indented as in the source."""
    indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    rows = [_row(line[indent:]) for line in lines if line.strip()]
    return f'<div class="equations">{"".join(rows)}</div>'


def _row(line: str) -> str:
    shift = len(line) - len(line.lstrip())
    cells = [cell for cell in CELLS.split(line.strip()) if cell]
    html = "".join(_labelled(cell) for cell in cells)
    style = f' style="padding-left:{shift / 2:g}em"' if shift else ""
    return f'<div class="equation"{style}>{html}</div>'


def _labelled(cell: str) -> str:
    label = LABEL.match(cell)
    if label and not is_words(cell[label.end() :] or "words of it"):
        rest = cell[label.end() :]
        return f'<span class="note">{words(label[1])}</span>{math(rest) if rest else ""}'
    if not is_words(cell):
        return math(cell)
    return f'<span class="{"said" if "=" in cell else "note"}">{words(cell)}</span>'


def is_words(cell: str) -> bool:
    """Whether a cell says something about an equation, rather than being one."""
    if re.match(r"\(?eq\.", cell):
        return True
    count = sum(word not in FUNCTIONS for word in WORD.findall(cell))
    if re.search(r"\S\s*(?:=|~|->)\s*\S", cell.partition(":")[0]):
        return count >= 6
    return count >= 2 or (count == 1 and not re.search(r"[_^*+=(]", cell))


def math(text: str) -> str:
    """One equation as a `<math>` element."""
    return f'<math displaystyle="true">{_sequence(_Tokens(text))}</math>'


class _Tokens:
    """The tokens of a cell, and a place among them."""

    def __init__(self, text: str) -> None:
        self.items, self.at = TOKEN.findall(text), 0

    def peek(self) -> str:
        return self.items[self.at] if self.at < len(self.items) else ""

    def take(self) -> str:
        self.at += 1
        return self.items[self.at - 1]


def _sequence(tokens: _Tokens, closing: str = "") -> str:
    parts: list[str] = []
    while (token := tokens.peek()) and token != closing:
        if token.isspace():
            tokens.take()
            parts.append('<mspace width="0.28em"></mspace>')
        else:
            parts.append(_scripted(tokens))
    return "".join(parts)


def _scripted(tokens: _Tokens) -> str:
    """An atom with what stands below and above it."""
    token = tokens.take()
    base, below, above = _atom(token, tokens), "", ""
    while tokens.peek() in ("_", "^", "'"):
        mark = tokens.take()
        if mark == "'":
            base = f'<mrow>{base}<mo lspace="0" rspace="0">′</mo></mrow>'
        elif mark == "_":
            below += _script(tokens)
        else:
            above += _script(tokens)
    digits = re.fullmatch(r"([A-Za-z]|[A-Za-z]*[a-z])(\d+)", token)
    if digits and (len(digits[1]) == 1 or digits[1] in GREEK):
        base, below = _name(digits[1]), f"<mn>{digits[2]}</mn>" + below
    return _joined(base, below, above, "under" if token in LARGE else "sub")


def _joined(base: str, below: str, above: str, kind: str) -> str:
    below, above = (f"<mrow>{part}</mrow>" if part else "" for part in (below, above))
    if kind == "under" and below and not above:
        return f"<munder>{base}{below}</munder>"
    if below and above:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    if below or above:
        return f"<msub>{base}{below}</msub>" if below else f"<msup>{base}{above}</msup>"
    return base


def _script(tokens: _Tokens) -> str:
    """What stands after `_` or `^`: a group, a name, or a number such as -1/2."""
    if tokens.peek() in ("{", "("):
        return _group(tokens.take(), tokens, shown=False)
    parts = "<mo>−</mo>" if tokens.peek() == "-" and tokens.take() else ""
    token = tokens.peek()
    if not token or token.isspace():
        return parts or "<mo>_</mo>"
    parts += _atom(tokens.take(), tokens)
    if token.isdigit() and re.fullmatch(r"/\d", "".join(tokens.items[tokens.at : tokens.at + 2])):
        parts += f"<mo>{tokens.take()}</mo><mn>{tokens.take()}</mn>"
    return parts


def _group(opening: str, tokens: _Tokens, *, shown: bool = True) -> str:
    inner = _sequence(tokens, CLOSING[opening])
    closed = tokens.take() if tokens.peek() else ""
    if not shown:
        return inner
    fence = ' stretchy="false"'
    end = f"<mo{fence}>{closed}</mo>" if closed else ""
    return f"<mrow><mo{fence}>{opening}</mo>{inner}{end}</mrow>"


def _atom(token: str, tokens: _Tokens) -> str:
    if token == "sqrt" and tokens.peek() == "(":
        return f"<msqrt>{_group(tokens.take(), tokens, shown=False)}</msqrt>"
    if token in ("(", "[", "{"):
        return _group(token, tokens)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token[0].isalpha():
        follows = tokens.peek()
        return f"<mo>{LARGE[token]}</mo>" if token in LARGE and follows == "_" else _name(token)
    stretch = ' stretchy="false"' if token in "|‖])}" or token == "||" else ""
    return f"<mo{stretch}>{escape(OPERATORS.get(token, token))}</mo>"


def _name(token: str) -> str:
    word = GREEK.get(token, re.sub(r"(\d|^k)x(\d|k$)", r"\1×\2", token))
    return f"<mi>{escape(word)}</mi>"


def words(text: str) -> str:
    """A sentence as HTML: code between backquotes, small formulas such as W_1 set."""
    parts = re.split(r"`([^`]*)`", text)
    done = [_sentence(part) if i % 2 == 0 else f"<code>{plain(part)}</code>"
            for i, part in enumerate(parts)]  # fmt: skip
    return "".join(done)


def _sentence(text: str) -> str:
    found, end = [], 0
    for match in INLINE.finditer(text):
        found += [plain(text[end : match.start()]), math(match[0])]
        end = match.end()
    return "".join([*found, plain(text[end:])])


def plain(text: str) -> str:
    """Text as HTML, with what Markdown would read as a mark written as an entity."""
    html = escape(text, quote=False)
    return re.sub(r"[*_\[\]~^\\`|]", lambda m: f"&#{ord(m[0])};", html)
