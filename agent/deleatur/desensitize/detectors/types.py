"""The types of personal data that deleatur knows, each with its level and the definition of its form."""

from collections.abc import Mapping
from types import MappingProxyType

from deleatur.documents.detection import Level, TypeInfo


def _info(title: str, level: Level, *source: str) -> TypeInfo:
    return TypeInfo(title=title, level=level, source=" ".join(source))


TYPES: Mapping[str, TypeInfo] = MappingProxyType(
    {
        "resident-id": _info(
            "Chinese resident ID number",
            "core",
            "GB 11643-1999: 18 characters, MOD 11-2; before 1999: 15 digits",
        ),
        "unified-social-credit-code": _info(
            "unified social credit code of an organisation in China",
            "internal",
            "GB 32100-2015: 18 characters, base 31",
        ),
        "mobile-number": _info(
            "mobile number, and any number of a plan that does not tell mobiles apart",
            "sensitive",
            "ITU-T E.164; prefixes 13 to 19 in China, 015, 016 and 017 in Germany; North",
            "American plan",
        ),
        "landline-number": _info(
            "landline number", "sensitive", "ITU-T E.164; national area codes of China and Germany"
        ),
        "bank-card": _info(
            "number of a payment card",
            "core",
            "ISO/IEC 7812-1: 13 to 19 digits, Luhn; UnionPay: 62, 60 and 81",
        ),
        "passport": _info(
            "number of a passport or identity card, machine-readable zone",
            "core",
            "ICAO Doc 9303; national series of China, Germany and the United States",
        ),
        "plate": _info(
            "licence plate of a vehicle", "sensitive", "GA 36-2018 (China); FZV annex 1 and 4 (Germany)"
        ),
        "vat-number": _info(
            "VAT identification number",
            "internal",
            "Directive 2006/112/EC art. 215; national check digits by python-stdnum",
        ),
        "tax-number": _info(
            "tax number of a person",
            "core",
            "AO s. 139b (Germany), and the national numbers of Italy, Spain and Poland by",
            "python-stdnum",
        ),
        "iban": _info("international bank account number", "core", "ISO 13616-1: MOD 97-10"),
        "social-security-number": _info(
            "social security number",
            "core",
            "20 CFR 422.103 (United States); VKVV s. 2 (Germany); NIR (France); NINO (United",
            "Kingdom)",
        ),
        "health-number": _info(
            "number of an insured person, a patient or a provider in health care",
            "core",
            "SGB V s. 290 (Germany: KVNR); CMS (United States: MBI, and NPI by 45 CFR 162.406);",
            "NHS number by python-stdnum; in China it is the resident ID number",
        ),
        "e-mail": _info("e-mail address", "sensitive", "RFC 5321 s. 4.1.2, RFC 6531"),
        "ip-address": _info("address of an Internet connection", "sensitive", "RFC 791, RFC 4291"),
        "date-of-birth": _info(
            "date of birth, or age", "sensitive", "ISO 8601-1, DIN 5008, GB/T 7408, beside a word for birth"
        ),
        "person-name": _info(
            "name of a person", "sensitive", "the row's own values; titles and surnames; a tagger for Chinese"
        ),
        "postal-address": _info(
            "postal address",
            "sensitive",
            "forms of addresses in China, Germany, the United States and the United Kingdom",
        ),
        "credential": _info(
            "password, key or token",
            "core",
            "the forms that issuers publish; words for password; RFC 7468; RFC 7519",
        ),
        "payment-secret": _info(
            "card verification value, PIN or one-time code", "core", "PCI DSS: sensitive authentication data"
        ),
        "chat-text": _info(
            "conversation or message in free text",
            "sensitive",
            "by column: long texts, and the column's name",
        ),
        "search-term": _info("what somebody searched for", "sensitive", "by column: its name"),
        "browsing-record": _info(
            "page that somebody looked at", "sensitive", "by column: its name, or RFC 3986"
        ),
        "other": _info(
            "one of the row's own values that has no form of its own", "internal", "the row's own values"
        ),
    }
)
