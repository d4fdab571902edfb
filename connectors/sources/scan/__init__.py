"""The fast scanner: tables made from a plan, and the kernels that run over them."""
