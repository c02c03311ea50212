"""The names of ``cm.unet`` that a factory of one's own may replace, with their signatures."""


class QKVFlashAttention:
    def __init__(self, embed_dim, num_heads):
        self.num_heads = num_heads


class QKVAttention:
    def __init__(self, n_heads):
        self.num_heads = n_heads
