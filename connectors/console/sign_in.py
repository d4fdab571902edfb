"""The page that signs a user in."""

from connectors.console.frame import Look, document, empty, labelled
from connectors.console.markup import tag


def page(look: Look, fault: str) -> str:
    """Return the page that asks for a token; `fault` says why the one before did not serve."""
    t = look.t
    field = tag("input", type="password", name="token", required=True, maxlength=512, autocomplete="current-password",
                autofocus=True)  # fmt: skip
    form = tag(
        "form",
        tag("p", fault, class_="notice bad", role="alert") if fault else None,
        labelled(t("Token"), field),
        tag("div", tag("button", t("Sign in")), class_="buttons"),
        empty(t("Your token is the one that the administrator gave you.")),
        method="post",
        action="/console/session",
        class_="sheet",
    )
    return document(look, t("Sign in"), form)
