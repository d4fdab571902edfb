"""The words of an opt-out and of an opt-in, unless config.toml has others. `engine.dispatch.optout` reads them."""

OPT_OUT_WORDS = ("TD", "退订", "退訂", "T", "N", "R", "QX", "STOP", "UNSUBSCRIBE", "0000")
OPT_IN_WORDS = ("DY", "订阅", "訂閱", "取消退订", "取消退訂", "START", "UNSTOP", "SUBSCRIBE")
