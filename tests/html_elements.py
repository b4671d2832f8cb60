"""The elements and the text of a page."""

import re
from html.parser import HTMLParser


class Elements(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [values[name] for kind, values in self.tags if kind == tag and name in values]

    def asks_for_nothing(self, html: str) -> bool:
        """Whether the page has neither script nor request, and a policy that allows none."""
        kinds = {tag for tag, _ in self.tags}
        (policy,) = [a["content"] for t, a in self.tags if t == "meta" and "http-equiv" in a]
        outside = re.search(r"url\(|@import|https?://", html)
        alien = kinds & {"script", "img", "iframe", "link", "object", "form"}
        return not alien and not outside and str(policy).startswith("default-src 'none'")
