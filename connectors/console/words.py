"""What the console says, in English and in Chinese.

The English text is the key; `{name}` in it is filled in. A word that comes from elsewhere, such as the state of a send,
stays as it is where there is no Chinese for it. What a book, a gateway or the log says is shown as it was said.
"""

from collections.abc import Mapping

LANGUAGES = {"en": ("en", "English"), "zh": ("zh-CN", "中文")}
"""By code: the tag of the language, and its name."""

CHINESE: Mapping[str, str] = {
    # pages
    "Live": "实时", "Switches": "开关", "Why": "查原因", "Book": "规则书", "Report": "报表", "Audit": "审计",
    "Pages": "页面", "Sign in": "登录", "Sign out": "退出", "Token": "令牌",
    "This token is nobody's.": "令牌不正确。",
    "Your token is the one that the administrator gave you.": "请使用管理员发给您的令牌。",
    "Not possible": "无法办理", "Your role may not do this.": "您的角色没有此权限。",
    "The page was too old; try again.": "页面已过期，请重试。", "There is no such page.": "没有这个页面。",
    "Others are asking just now; try again in a moment.": "其他人正在查询，请稍后再试。",
    "It took longer than {seconds} s and was given up.": "超过 {seconds} 秒仍未完成，已放弃。",
    "A reason of {least} to {most} characters is needed.": "请填写 {least} 至 {most} 个字的原因。",
    # roles
    "author": "规则编写", "operator": "运维", "clerk lead": "营业班长", "auditor": "审计员",
    # live
    "Needs attention": "需要关注", "No faults; nothing is paused.": "没有故障，也没有暂停。",
    "The book on disk is refused": "磁盘上的规则书被拒绝", "History starts anew": "历史重新累计",
    "Source {name} is not read": "数据源 {name} 未被读取", "Gateway {name} is down": "网关 {name} 中断",
    "The audit log waits": "审计日志等待写入", "Paused": "已暂停", "Killed": "已终止",
    "Volume": "流量", "Events a second": "每秒事件", "Decisions a second": "每秒决策",
    "Events since the start": "启动以来事件", "Decision within, half": "决策时延（半数）",
    "Decision within, 99%": "决策时延（99%）", "Waiting to be logged": "等待写入日志", "Dead letters": "死信",
    "Doubled events": "重复事件", "Subscribers": "用户数", "Rules": "规则数", "Up": "已运行",
    "The plot begins in a moment.": "稍后显示曲线。",
    "Events a second, last {minutes} minutes, at most {most}": "最近 {minutes} 分钟每秒事件，最高 {most}",
    "Rules and gates": "规则与关卡", "Nothing was a candidate yet.": "还没有候选。", "Rule": "规则",
    "Candidates": "候选", "Decided": "已决策", "Stopped by": "拦截原因", "All": "合计",
    "{count} more rules stand in /status.": "另有 {count} 条规则，见 /status。",
    "What became of decisions": "决策的结果", "Nothing was sent yet.": "还没有发送。", "State": "状态",
    "Count": "数量", "As told": "说明", "committed": "网关或柜台已接受", "refunded": "已收回", "delivered": "已送达",
    "undelivered": "未送达", "Sources": "数据源", "Gateways": "网关", "Sending": "发送", "Desk": "前台",
    "There is none.": "没有。", "Name": "名称", "Figures": "数字", "Fault": "故障", "Partitions": "分区",
    "Number": "号码", "Clock": "时钟", "Behind": "落后", "Log": "日志", "To fold again": "待重算",
    "Dirty pages": "脏页", "In memory": "内存中", "Asleep": "休眠",
    # switches
    "Paused or killed": "已暂停或终止", "Pause, resume or kill": "暂停、恢复或终止",
    "Pause: candidates are recorded and queued sends wait. Kill: queued sends are taken back, and caps get their "
    "places back. Resume ends both.":
        "暂停：候选照常记录，排队的发送等待。终止：排队的发送收回，频次归还。恢复：结束两者。",
    "Nothing is paused or killed.": "没有暂停或终止的对象。", "What": "对象", "By": "操作人", "Reason": "原因",
    "Pause": "暂停", "Resume": "恢复", "Kill": "终止", "Kind": "类别", "rule": "规则", "campaign": "活动",
    "channel": "渠道", "paused": "已暂停", "killed": "已终止",
    "Done: {act} {what}; queued sends touched: {count}": "完成：{act} {what}；涉及排队发送 {count} 条",
    # why
    "Rule, to see also why not": "规则（同时查看未触发的原因）", "Ask": "查询",
    "Numbers are masked for your role.": "您的角色看到的号码已遮盖。",
    "No rule was ever a candidate for this number.": "这个号码从未成为任何规则的候选。",
    "The newest {count} of {whole}.": "最新 {count} 条，共 {whole} 条。",
    "decided on {channel}": "决定经 {channel} 发送", "stopped by {gate}": "被拦截：{gate}",
    "Offer": "产品", "unknown": "未知", "not so": "不成立",
    # books
    "Version": "版本", "In force since": "生效时间", "Versions": "版本",
    "before the journal": "早于记录", "the first start": "首次启动",
    "What the folder changes against the book in force": "文件夹与生效版本的差异", "in force": "生效中",
    "Compare, roll back": "比较、回退", "the folder on disk": "磁盘文件夹",
    "From {old} to {new}": "从 {old} 到 {new}",
    "Nothing differs.": "没有差异。", "Change": "更改", "{count} more lines.": "另有 {count} 行。", "Roll back": "回退",
    "Roll back to {version}": "回退到 {version}",
    # report
    "Counted by": "统计维度", "From": "开始", "To, left out": "结束（不含）", "Make the report": "生成报表",
    "It is counted while you wait, from the journal and the log, in a process of its own.":
        "报表由独立进程根据决策记录与日志即时统计，请稍候。",
    # rehearsal
    "Rehearse": "预演",
    "Recorded events run once more under the book in the folder, beside the one that ran; nothing is sent.":
        "用文件夹中的规则书重新运行已记录的事件，与当时的规则书对照；不发送任何内容。",
    # audit
    "Words to look for": "查找", "Search": "查找", "When": "时间", "Who": "操作人", "From where": "来源",
    "Answer": "结果", "none is known": "不详",
}  # fmt: skip

GATES: Mapping[str, str] = {
    "paused": "规则已暂停", "stale": "事件过晚", "eligibility": "不符合办理条件", "list": "在排除名单上",
    "offer": "已推荐或已拒绝", "outranked": "优先级不足", "channel paused": "渠道已暂停", "no visit": "客户不在柜台",
    "channel full": "渠道名额已满", "no value": "文案缺值", "cap": "频次上限", "contacts full": "接触记录已满",
    "holdout": "对照组", "owner": "号码已换机主",
}  # fmt: skip

KEYS: Mapping[str, str] = {
    "rule": "规则", "campaign": "活动", "offer": "产品", "goal": "目标", "channel": "渠道", "gateway": "网关",
    "gate": "关卡", "arm": "分组", "city": "城市", "hall": "营业厅", "clerk": "营业员", "terminal": "终端",
    "day": "日期", "book": "规则书版本",
}  # fmt: skip


class Words:
    """The words of one language, by code."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.tag = LANGUAGES[language][0]

    def __call__(self, text: str, **values: object) -> str:
        """Return a text in this language, filled in."""
        template = CHINESE.get(text, text) if self.language == "zh" else text
        return template.format(**values) if values else template

    def gate(self, word: str) -> str:
        """Return the name of a gate."""
        return GATES.get(word, word) if self.language == "zh" else word

    def key(self, word: str) -> str:
        """Return the name of what a report is counted by."""
        return KEYS.get(word, word) if self.language == "zh" else word


def language_of(chosen: str, accepted: str) -> str:
    """Return the code of a language: the one chosen, or what the browser would rather have by Accept-Language."""
    if chosen in LANGUAGES:
        return chosen
    ranked = sorted(accepted[:500].lower().split(","), key=_weight, reverse=True)
    found = (part.split(";")[0].strip().partition("-")[0] for part in ranked)
    return next((code for code in found if code in LANGUAGES), "en")


def _weight(part: str) -> float:
    try:
        return float(part.partition(";q=")[2] or 1)
    except ValueError:
        return 0.0
