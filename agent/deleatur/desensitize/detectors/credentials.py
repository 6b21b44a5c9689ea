"""Find what opens a door: passwords, keys and tokens, and the secrets of a payment card."""

import re
from collections.abc import Iterator

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span

_ISSUED = re.compile(  # the forms that issuers publish
    r"(?<![0-9A-Za-z_-])(?:"
    r"A(?:KIA|SIA|ROA|IDA)[0-9A-Z]{16}"  # AWS access key id
    r"|LTAI[0-9A-Za-z]{12,26}"  # Alibaba Cloud
    r"|AKID[0-9A-Za-z]{32}"  # Tencent Cloud
    r"|AIza[0-9A-Za-z_-]{35}"  # Google
    r"|gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,}"
    r"|glpat-[0-9A-Za-z_-]{20,}"  # GitLab
    r"|xox[abprs]-[0-9A-Za-z-]{10,}"  # Slack
    r"|(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{16,}"  # Stripe
    r"|sk-[0-9A-Za-z_-]{20,}"
    r"|npm_[0-9A-Za-z]{36}"
    r"|SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"  # SendGrid
    r"|AGE-SECRET-KEY-1[0-9A-Z]{58}"
    r"|eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*"  # JSON web token, RFC 7519
    r")"
)
_PEM = re.compile(  # RFC 7468; a key that is cut off is a key
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY(?: "
    r"BLOCK)?-----|.*)",
    re.DOTALL,
)
_SAID = re.compile(
    r"(?:(?:登录|登陆|支付|初始|新|旧|我的)?(?:密码|口令|密钥)|(?<![A-Za-z])(?:password|passwd"
    r"|passphrase|passwort|kennwort|pwd|pw"
    r"|api[ _-]?key|secret(?:[ _-]?key)?|access[ _-]?(?:key|token)|auth[ _-]?token|token|client[ _-]?secret))"
    r"[\"']?(?: ?(?:是|为|改成|改为|设为|设成|就是)[:：]? ?| ?[:=] ?| (?:is|ist|lautet|war|was)(?:now"
    r"|jetzt)?:? )"
    r"[\"'“„‘]?(?P<secret>[!-&(-~]{4,128})",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?:Bearer|Basic) +(?P<secret>[0-9A-Za-z+/=._~-]{12,})")
_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,20}://(?P<secret>[^\s/@:]{1,64}:[^\s/@]{1,64})@", re.IGNORECASE)
_CARD_SECRET = re.compile(
    r"(?:(?<![A-Za-z])(?:cvv2?|cvc2?|cv2|csc)(?![A-Za-z])|安全码|(?:卡片)?验证值|prüfnummer"
    r"|prüfziffer|kartenprüf\w*|security code)"
    r"[^0-9\n]{0,8}(?P<secret>[0-9]{3,4})(?![0-9])",
    re.IGNORECASE,
)
_PIN = re.compile(
    r"(?:(?<![A-Za-z])(?:PIN|TAN|OTP)(?![A-Za-z])|验证码|校验码|动态码|取款密码|支付密码|verification "
    r"code|one-time code|bestätigungscode)"
    r"[^0-9\n]{0,6}(?P<secret>[0-9]{4,8})(?![0-9])",
    re.IGNORECASE,
)


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    text = reading.text
    for pattern in (_ISSUED, _PEM):
        for found in pattern.finditer(text):
            yield Span(found.start(), found.end(), "credential", None, 0.98)
    for pattern, type_, confidence in (
        (_SAID, "credential", 0.8),
        (_BEARER, "credential", 0.85),
        (_IN_ADDRESS, "credential", 0.98),
        (_CARD_SECRET, "payment-secret", 0.9),
        (_PIN, "payment-secret", 0.9),
    ):
        for found in pattern.finditer(text):
            yield Span(*_trimmed(text, *found.span("secret")), type_, None, confidence)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave the full stop of a sentence outside a secret."""
    while end - start > 4 and text[end - 1] in ".,;)\"'":
        end -= 1
    return start, end
