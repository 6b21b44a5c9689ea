"""Find names of persons: by titles and words that introduce a name, by surname, by a tagger for Chinese.

German and English names without such a word are found only if they are known from the row: a list
of first names would take Rose, Mark and Hope out of every text.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from deleatur.desensitize.detectors.reading import Reading
from deleatur.documents.detection import Span
from deleatur.errors import Unsupported

_COMPOUND = "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|宇文|长孙|夏侯|轩辕|端木|百里|南宫|独孤|呼延|闻人|澹台"
_SURNAMES = (  # the commonest of the register of names
    "王李张刘陈杨黄赵周吴徐孙马胡朱郭何罗高林郑梁谢宋唐许邓冯韩曹曾彭萧肖蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方"
    "侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戚莫孔向汤温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮"
    "柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
_HAN = "\u4e00-\u9fff"
_SURNAME = f"(?:{_COMPOUND}|[{_SURNAMES}])"
_FULL = re.compile(f"(?:(?:{_COMPOUND})[{_HAN}]{{1,2}}|[{_SURNAMES}](?:·?[{_HAN}]{{1,2}}))")
_MINORITY = re.compile(f"[{_HAN}]{{2,6}}(?:·[{_HAN}]{{2,7}}){{1,3}}")  # 阿依古丽·买买提
_TITLED = re.compile(
    f"(?P<name>{_SURNAME}[{_HAN}]{{0,2}}?)(?:先生|女士|小姐|太太|老师|教授|医生|大夫|律师|经理|总监|总经理|主任|主管|工程师|师傅|阿姨|叔叔|大哥|大姐|同学|同志|局长|老板|护士|会计|院长|校长|总(?![共是计的数体结裁价额])|工(?=[,，。 说你您]))"
)
_NICK = re.compile(
    f"(?P<name>[小老阿][{_SURNAMES}](?![{_HAN}]?(?:心|时|事|子|师|板|家|区|学|人)))(?=[说的在来是给和,，。!！?？：: ]|$)"
)
_INTRODUCED = re.compile(
    "(?:我叫|我是|名叫|他叫|她叫|叫做|名字[叫是为]?|姓名|收件人|收货人|联系人|签收人|寄件人|持卡人|户名|开户名|法人|法定代表人|负责人|经办人|客户|用户|会员|患者|家长|孩子|儿子|女儿|老公|老婆|妻子|丈夫|改成|抬头|找|给|转告|本人|署名)"
    f"(?:名字|姓名)?(?:叫|是|为|改成|改为)?[:： ]{{0,2}}(?P<name>{_FULL.pattern})(?![{_HAN}]*公司)"
)
_CAP = r"(?:[A-ZÄÖÜÉÈÀÇÑŁŠŽ][a-zäöüßéèàçñłšžáíóúâêôîëïø]+|O['’][A-Z][a-z]+|Mc[A-Z][a-z]+|Mac[A-Z][a-z]+)(?:-[A-ZÄÖÜ][a-zäöüß]+)?"
_PARTICLE = r"(?:von der|von|van der|van den|van|de la|de|del|der|den|zu|zur|bin|al|di|da|dos|le|la|ter)"
_MORE = rf"(?: (?:[A-Z]\.|{_PARTICLE} {_CAP}|{_CAP}))"
_TITLE_LATIN = re.compile(
    rf"(?<![A-Za-zäöüß])(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Madam|Herrn?|Frau|Fräulein|Familie|Hr|Fr|Kollege|Kollegin)\.? (?:(?:Dr|Prof)\.? )*(?P<name>{_CAP}{_MORE}{{0,3}})"
)
_INTRODUCED_LATIN = re.compile(
    rf"(?:(?i:my name is|name is|name:|i am called|this is|i'm|ich heiße|ich heisse|mein name ist|name ist|hier ist|hier spricht|gezeichnet|gez\.|i\. ?a\.|i\. ?v\.|signed|sincerely|regards|cheers|best|grüße|grüßen|gruß|grüsse|dear|hi|hello|hallo|liebe[r]?|guten tag|attn|attention|z\. ?hd\.|c/o|contact|ansprechpartner(?:in)?|empfänger(?:in)?|recipient|cardholder|karteninhaber(?:in)?|kontoinhaber(?:in)?|account holder|customer|kund(?:e|in)|patient(?:in)?))[:,]?\s{{1,2}}(?P<name>{_CAP}{_MORE}{{0,3}})"
)
_NOT_NAMES = frozenset(
    ["Team", "Support", "Service", "Kunde", "Kundin", "Kunden", "Customer", "Sir", "Madam", "All", "Alle", "Everyone", "There", "Damen", "Herren", "Zusammen", "You", "Your", "Thanks", "Thank", "Thema", "The", "This", "That", "Our", "My", "We", "It", "Is", "In", "On", "For", "Not", "Please", "Order", "Bestellung", "Rechnung", "Sehr", "Ihr", "Ihre", "Mein", "Meine", "Der", "Die", "Das", "Ein", "Eine", "Und", "Aber", "Wir", "Ich", "Sie", "Es", "Was", "Wie", "Wann", "Wo", "Weihnachten", "Morgen", "Abend", "Tag", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag", "Regards", "Wishes", "Wünsche", "Grüße", "Sincerely", "Hello", "Hallo", "Hi", "Dear", "Black", "Amazon", "Paypal", "Visa"]
)
_STOP = frozenset(
    ["谢谢", "谢谢您", "谢谢你", "温馨", "高兴", "高新", "方便", "方正", "安全", "安心", "平安", "明白", "明天", "明年", "明显", "成功", "成都", "成本", "金额", "金融", "黄金", "白天", "白色", "黑色", "黄色", "金色", "时间", "时候", "马上", "任何", "任务", "和平", "文件", "文章", "温度", "康复", "江苏", "江西", "江南", "石油", "石头", "路上", "路由", "路口", "连接", "边上", "关于", "关系", "关注", "关闭", "管理", "管家", "查询", "查看", "查收", "解决", "解释", "应该", "应用", "单号", "单价", "单位", "商品", "商家", "商城", "商店", "高级", "高清", "全部", "全国", "全款", "包裹", "包装", "包邮", "包括", "万元", "万一", "万分", "方式", "方案", "方法", "方面", "向您", "向你", "于是", "余额", "顾客", "常州", "苏州", "杭州", "徐州", "郑州", "温州", "广州", "田园", "安装", "安排", "安慰", "易碎", "易经", "米色", "麦片", "梅花", "兰花", "桂花", "牛奶", "牛仔", "牛肉", "熊猫", "龙虾", "龙井", "白酒", "白糖", "花生", "石榴", "金龙鱼", "华为", "小米", "康师傅", "老干妈", "王老吉", "席梦思", "周末", "周一", "周二", "周三", "周四", "周五", "周六", "周日", "周年", "周期", "周边", "周到", "季度", "季节", "支付", "支付宝", "甘肃", "宁波", "宁夏", "海南", "云南", "陆续", "陆运", "史上", "段时间", "师傅", "师父", "司机", "司法", "农业", "农历", "古典", "吉祥", "曲线", "屈臣氏", "荣幸", "荣耀", "阳光", "阳台", "全额", "卫生", "卫衣", "梁山", "宋朝", "唐装", "唐朝", "明确", "明细", "盛世", "车辆", "车主", "车库", "车牌", "连衣裙", "景区", "景点", "冷藏", "冷链", "冷冻", "费用", "柏林", "温水", "和您", "和你", "和我", "成交", "成为", "成员", "简单", "应当", "时尚", "左右", "房间", "房子", "钱包", "钱款", "高跟鞋", "尚未", "尤其", "毛衣", "毛巾", "毛病", "石家庄", "马桶", "马克杯", "马甲", "叶子", "严重", "严格", "相关", "何时", "何处", "何必", "贺卡", "祝您", "祝你", "祝福", "祝贺", "强烈", "郎酒", "汤圆", "阮囊", "黎明", "武汉", "孔子", "申请", "申诉", "申报", "申通", "顺丰", "韵达", "游戏", "游泳", "童装", "童鞋", "项目", "项链", "符合", "舒服", "舒适", "鲁菜", "华南", "华东", "华北", "欧元", "欧洲", "欧美", "党员", "党费", "蓝色", "蓝牙", "夏天", "夏季", "夏令时", "秦皇岛", "雷达", "雷锋", "薛定谔", "江湖", "江水", "沙发", "沙滩", "姜汤", "白天可", "高端", "乐意", "乔迁", "安检", "安卓", "范围", "常见", "常用", "计算", "从来", "通知", "经理", "主任", "老师", "先生", "女士", "章程", "孟子", "管道", "管用", "向来", "向前", "邮寄", "卜卦", "言语"]
)
_AFTER_NAME = frozenset(
    "的了在和与说问要是有也都就不到给把被对跟又还很吗呢吧啊呀么您你我他她它这那想能可请让用买收发寄退换去来做当会没已从为以及等下上里中之您今明昨先后再才刚正总常非将应该谁"
)
_NAME_TAGS = ("nr", "nrt", "nrfg")


def find(reading: Reading) -> Iterator[Span]:
    """Yield every candidate in a reading, overlapping ones too."""
    text = reading.text
    if not text.isascii() and re.search(f"[{_HAN}]", text):
        yield from _chinese(text)
    for pattern, confidence in ((_TITLE_LATIN, 0.75), (_INTRODUCED_LATIN, 0.6)):
        for found in pattern.finditer(text):
            end = _until_no_name(found["name"])
            if end:
                yield Span(found.start("name"), found.start("name") + end, "person-name", None, confidence)


def type_of(value: str) -> str:
    """Say whether a whole value can be a name: `person-name`, else `other`."""
    if re.fullmatch(f"[{_HAN}]{{2,4}}", value) or _MINORITY.fullmatch(value):
        return "person-name"
    if re.fullmatch(r"[^\W\d_][^\W\d_'’.-]*(?:[ ,]+[^\W\d_][\w'’.-]*){0,4}\.?", value) and not re.search(
        f"[{_HAN}]", value
    ):
        return "person-name"
    return "other"


def _until_no_name(words: str) -> int:
    """Return the length of the words of a name before the first that cannot be one."""
    end = 0
    for word in re.finditer(r"\S+", words):
        if word[0].rstrip(".,") in _NOT_NAMES:
            break
        end = word.end()
    return end


def _chinese(text: str) -> Iterator[Span]:
    for pattern, confidence in ((_TITLED, 0.8), (_NICK, 0.6)):
        for found in pattern.finditer(text):
            if found["name"] not in _STOP:
                yield Span(*found.span("name"), "person-name", None, confidence)
    for found in _INTRODUCED.finditer(text):
        start, end = found.span("name")
        end = _shortened(text, start, end)
        if text[start:end] not in _STOP and end - start >= 2:
            yield Span(start, end, "person-name", None, 0.75)
    for found in _MINORITY.finditer(text):
        yield Span(found.start(), found.end(), "person-name", None, 0.6)
    yield from _tagged(text)


def _shortened(text: str, start: int, end: int) -> int:
    """Leave a word that follows a name outside it: 王芳的 is 王芳."""
    while end - start > 2 and text[end - 1] in _AFTER_NAME:
        end -= 1
    return end


def _tagged(text: str) -> Iterator[Span]:
    place = 0
    tokens = list(_tagger().tag(text))
    for number, (word, tag) in enumerate(tokens):
        start, place = place, place + len(word)
        if tag not in _NAME_TAGS or word in _STOP or not re.fullmatch(f"{_SURNAME}[{_HAN}·]{{1,3}}", word):
            continue
        end = _shortened(text, start, place)
        following = tokens[number + 1][0] if number + 1 < len(tokens) else ""
        if len(word) == 2 and end == place and len(following) == 1 and re.match(f"[{_HAN}]", following):
            end += following not in _AFTER_NAME
        yield Span(start, end, "person-name", None, 0.55)


@cache
def _tagger() -> Any:
    try:
        import rjieba
    except ImportError:
        raise Unsupported("names in Chinese need rjieba: install deleatur[detect]") from None
    return rjieba
