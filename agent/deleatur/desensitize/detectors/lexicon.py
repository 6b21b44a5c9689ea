"""Word lists of the name detector: Chinese surnames, and words that look like names and are none.

Lists of given names are left out on purpose: they would take Rose, Mark and Hope out of every text.
"""

COMPOUND_SURNAMES = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|司徒|宇文|长孙"
    "|夏侯|轩辕|端木|百里|南宫|独孤|呼延|闻人|澹台"
)
_SURNAMES = """
王李张刘陈杨黄赵周吴徐孙马胡朱郭何罗高林郑梁谢宋唐许邓冯韩曹曾彭萧肖蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚
卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戚莫孔向汤温康
施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗
谷盛曲翁冉骆蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦岑景党宫费卜冷
晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明常赖佘池查麻苑迟邝
"""
SURNAMES = "".join(_SURNAMES.split())  # of one character; the commonest of the household register
_COMMON = """
谢谢 谢谢您 谢谢你 温馨 高兴 高新 方便 方正 安全 安心 平安 明白 明天 明年 明显 成功 成都 成本 金额 金融
黄金 白天 白色 黑色 黄色 金色 时间 时候 马上 任何 任务 和平 文件 文章 温度 康复 江苏 江西 江南 石油 石头
路上 路由 路口 连接 边上 关于 关系 关注 关闭 管理 管家 查询 查看 查收 解决 解释 应该 应用 单号 单价 单位
商品 商家 商城 商店 高级 高清 全部 全国 全款 包裹 包装 包邮 包括 万元 万一 万分 方式 方案 方法 方面 向您
向你 于是 余额 顾客 常州 苏州 杭州 徐州 郑州 温州 广州 田园 安装 安排 安慰 易碎 易经 米色 麦片 梅花 兰花
桂花 牛奶 牛仔 牛肉 熊猫 龙虾 龙井 白酒 白糖 花生 石榴 金龙鱼 华为 小米 康师傅 老干妈 王老吉 席梦思 周末
周一 周二 周三 周四 周五 周六 周日 周年 周期 周边 周到 季度 季节 支付 支付宝 甘肃 宁波 宁夏 海南 云南
陆续 陆运 史上 段时间 师傅 师父 司机 司法 农业 农历 古典 吉祥 曲线 屈臣氏 荣幸 荣耀 阳光 阳台 全额 卫生
卫衣 梁山 宋朝 唐装 唐朝 明确 明细 盛世 车辆 车主 车库 车牌 连衣裙 景区 景点 冷藏 冷链 冷冻 费用 柏林
温水 和您 和你 和我 成交 成为 成员 简单 应当 时尚 左右 房间 房子 钱包 钱款 高跟鞋 尚未 尤其 毛衣 毛巾
毛病 石家庄 马桶 马克杯 马甲 叶子 严重 严格 相关 何时 何处 何必 贺卡 祝您 祝你 祝福 祝贺 强烈 郎酒 汤圆
阮囊 黎明 武汉 孔子 申请 申诉 申报 申通 顺丰 韵达 游戏 游泳 童装 童鞋 项目 项链 符合 舒服 舒适 鲁菜 华南
华东 华北 欧元 欧洲 欧美 党员 党费 蓝色 蓝牙 夏天 夏季 夏令时 秦皇岛 雷达 雷锋 薛定谔 江湖 江水 沙发
沙滩 姜汤 白天可 高端 乐意 乔迁 安检 安卓 范围 常见 常用 计算 从来 通知 经理 主任 老师 先生 女士 章程
孟子 管道 管用 向来 向前 邮寄 卜卦 言语 黄桃 小米 小龙 小康 小白 小黄 小包 小单 小金 小方 小费 小车 小路
张数 高新区 全角 全数字 连字符 解绑 解除 全都 全新 全程 简直
应付 项下 时常 时长 单独 单据 路过 路程 方向 成熟 于今 金牌 金卡 银行 白金 高温 高中 高考 石板 江边 万能
武器 贺岁 边框 车票 车间 计划 计费 连续 连同 连忙 关机 关税 向导 施工 施行 文字 文明 文具 温和 温暖 和谐
和气 柏油 祝好 别人 毕竟 毕业 明日 经过 经常 白送 白色的 能否 能不能 万分感谢 段落 钟头 钟点 苗条 苗木
谷歌 谷物 盛夏 曲奇 游客 支持 支票 支行 房东 房租 房产 鲍鱼 花费 党委 司机师傅 从此 从速 易拉罐 古董
吉他 农药 农村 甘蔗 包退 包换 毛利 毛重 毛绒 严禁 顾虑 汤品 龙头 雷雨 史料 陶瓷 黎族 段位 常规 常温 武装
戴上 戴着 夏装 姜茶 范本 石材 江浙 边境 阎王 任意 任性 沈阳 傅里叶 钟表 卢布 丁香 吕宋 程序 程度 魏晋
苏打 蒋介石 叶酸 余下 余款 于此 袁大头 董事 董事长 田地 潘多拉 蔡司 萧条 彭博 曾经 曹操 韩国 韩版 韩式
冯氏 邓小平 许多 许可 唐山 宋体 谢绝 梁柱 郑重 林业 高价 高度 高速 高铁 罗马 罗列 何苦 何况 郭德纲 朱红
胡椒 胡子 胡同 马达 马力 马来 孙子 孙女 徐徐 吴语 周围 赵国 黄油 黄瓜 黄豆 杨梅 陈列 陈旧 刘海 张贴 张开
李子 王牌 王国 王者
"""
COMMON_WORDS = frozenset(_COMMON.split())  # words of two or three characters that begin like a name
_SALUTED = """
Mr Mrs Ms Miss Mx Dr Prof Herr Frau Team Support Service Kunde Kundin Kunden Customer Sir Madam All Alle
Everyone There Damen Herren Zusammen You Your Thanks Thank Thema The This That Our My We It Is In On For
Not Please Order Bestellung Rechnung Sehr Ihr Ihre Mein Meine Der Die Das Ein Eine Und Aber Wir Ich Sie
Es Was Wie Wann Wo Weihnachten Morgen Abend Tag Monday Tuesday Wednesday Thursday Friday Saturday Sunday
Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag Regards Wishes Wünsche Grüße Sincerely Hello
Hallo Hi Dear Black Amazon Paypal Visa
"""
NO_NAMES = frozenset(_SALUTED.split())  # what follows a greeting or a title and is no name
UNLIKELY = frozenset("全解连计时和向关应成边项单简车能从")  # surnames that are far more often plain words
