"""wellformed.py PAGE: checks a page of `bertc inspect` without a browser. Prints the names of its blocks."""

import base64, hashlib, html.parser, json, re, sys
from pathlib import Path

text = open(sys.argv[1], encoding="utf-8").read()


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.found, self.texts = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))


page = Page()
page.feed(text)
page.close()
assert not page.open, page.open
tags = [tag for tag, _ in page.found]
assert set(tags) == {"html", "head", "meta", "title", "style", "body", "noscript", "script"}, set(tags)
for tag, attributes in page.found:
    assert not {"src", "href", "style"} & set(attributes) and not any(
        name.startswith("on") for name in attributes
    ), (tag, attributes)
kinds = [attributes.get("type", "") for tag, attributes in page.found if tag == "script"]
scripts = len(list((Path(__file__).parents[2] / "compiler/report/page").glob("*.js")))
assert kinds == ["application/json"] * (len(kinds) - scripts) + [""] * scripts, kinds
policy = next(a["content"] for t, a in page.found if t == "meta" and "http-equiv" in a)
assert policy.startswith("default-src 'none';") and "unsafe" not in policy, policy
for kind, script in re.findall(r"<(style|script)>(.*?)</\1>", text, re.S):
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{hashed}'" in policy.split(f"{kind}-src", 1)[1], f"the policy lacks the {kind}"
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp|@import|url\(http", script
    ), kind
blocks = {
    name: json.loads(body)
    for name, body in re.findall(r'<script type="application/json" id="data-([a-z]+)">([^<]*)</script>', text)
}
assert len(blocks) == len(kinds) - scripts
print(*blocks)
