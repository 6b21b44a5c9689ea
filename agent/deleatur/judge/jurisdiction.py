"""Whose law applies to records: from their column of countries, else from the numbers they hold. Pure.

A country that is not known here is `unknown`, never left out: the strictest rules apply to it.
"""

from collections import Counter
from collections.abc import Mapping

from deleatur.documents.datamap import Jurisdiction

_COLUMNS = """
country country_code countrycode nation land ländercode laendercode staat 国家 国家代码 国别 residence
billingcountry billing_country shippingcountry shipping_country ship_country
"""
COUNTRY_COLUMNS = frozenset(_COLUMNS.split())
# ISO 3166-1 alpha-2, then names in English, German and Chinese where they differ
_NAMES = """
AR argentina argentinien 阿根廷
AT austria österreich 奥地利
AU australia australien 澳大利亚
BE belgium belgien 比利时
BR brazil brasilien 巴西
CA canada kanada 加拿大
CH switzerland schweiz 瑞士
CL chile 智利
CN china 中国 volksrepublik_china people's_republic_of_china
CZ czech_republic czechia tschechien 捷克
DE germany deutschland 德国
DK denmark dänemark 丹麦
ES spain spanien 西班牙
FI finland finnland 芬兰
FR france frankreich 法国
GB united_kingdom uk great_britain großbritannien vereinigtes_königreich 英国
HK hong_kong hongkong 香港
HU hungary ungarn 匈牙利
IE ireland irland 爱尔兰
IN india indien 印度
IT italy italien 意大利
JP japan 日本
KR south_korea korea südkorea 韩国
LU luxembourg luxemburg 卢森堡
MX mexico mexiko 墨西哥
NL netherlands niederlande 荷兰
NO norway norwegen 挪威
PL poland polen 波兰
PT portugal 葡萄牙
RU russia russland 俄罗斯
SE sweden schweden 瑞典
SG singapore singapur 新加坡
TW taiwan 台湾
UA ukraine 乌克兰
US united_states usa united_states_of_america vereinigte_staaten america 美国
"""
_CODES = {
    name.replace("_", " "): line.split()[0]
    for line in _NAMES.strip().splitlines()
    for name in (line.split()[0].lower(), *line.split()[1:])
}
_TYPES = {"resident-id": "CN", "unified-social-credit-code": "CN"}  # numbers that one country gives out


def code_of(country: object) -> str:
    """Return the ISO 3166 code of a country's name or code; "unknown" when it is not known here."""
    return _CODES.get(" ".join(str(country or "").lower().split()), "unknown")


def jurisdictions(
    countries: Mapping[str, Counter[str]], types: Mapping[str, Counter[str]]
) -> tuple[Jurisdiction, ...]:
    """Judge a place by its columns of countries and, without any, by the types in its fields.

    A number that one country gives out speaks for its own record only: the others are `unknown`.
    Both map the name of a column to counts: of country codes, and of types.
    """
    if countries:
        return tuple(
            Jurisdiction(code=code, reason=f"column {column}", records=count)
            for column, codes in sorted(countries.items())
            for code, count in sorted(codes.items())
        )
    found = [
        Jurisdiction(code=_TYPES[type_], reason=f"{type_} in {column}", records=count)
        for column, counts in sorted(types.items())
        for type_, count in sorted(counts.items())
        if type_ in _TYPES
    ]
    rest = "records without such a number" if found else "no column of countries, and none is declared"
    return (*found, Jurisdiction(code="unknown", reason=rest))
