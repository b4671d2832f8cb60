"""The HTML templates of the package: every value is escaped, and a missing one is an error."""

from functools import cache

import jinja2

OWN = "soundjudge.html"
SIMULATED = "its scores show how the tool works, and say nothing about what people hear"


@cache
def environment(package: str) -> jinja2.Environment:
    """Templates of a package and those of this one, the style sheet, and formats of numbers."""
    folders = [(package, "templates"), (OWN, "templates"), (OWN, "static")]
    result = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(*folder) for folder in folders]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    result.filters |= {
        "p": p_text,
        "percent": percent_text,
        "correlation": correlation_text,
        "score": "{:.2f}".format,
        "signed": signed_text,
        "words": flag_words,
    }
    return result


def render(name: str, package: str, **values: object) -> str:
    """A template of `package` with these values, as HTML."""
    return environment(package).get_template(name).render(**values)


def note_sentence(note: str) -> str:
    """What must be known of a judge's ratings, as a sentence; "" where there is no note."""
    if not note:
        return ""
    if "simulated" in note:
        return f"This judge has learned from {note}: {SIMULATED}."
    return f"This judge has learned from {note}."


def ratings_sentence(note: str) -> str:
    """What must be known of the ratings of an evaluation; "" where there is no note."""
    if not note:
        return ""
    sentence = f"{note[0].upper()}{note[1:]}"
    if "simulated" in note:
        return f"{sentence}: these numbers show how the tool works, and say nothing about people."
    return f"{sentence}."


def p_text(p: float) -> str:
    """A p-value as papers write it."""
    if p < 0.001:
        return "p < .001"
    return f"p = {p:.3f}".replace("0.", ".", 1)


def signed_text(value: float) -> str:
    """A difference with its sign, in two decimals."""
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def correlation_text(value: float, sign: str = "") -> str:
    """A correlation or a difference of two as papers write it: three decimals, no leading 0."""
    text = f"{value:{sign}.3f}".replace("-", "\N{MINUS SIGN}")
    return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text


def percent_text(share: float) -> str:
    """A share of 0 to 1 in whole percent."""
    return f"{100 * share:.0f} %"


def flag_words(flag: str) -> str:
    """A flag's name as words."""
    return flag.replace("_", " ")
