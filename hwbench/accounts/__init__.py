"""Closed forms: what a model's step computes, moves and holds, from its shape alone.

Nothing here imports torch or opens a device, so that a 175B model can be accounted for on a laptop:

    from hwbench.accounts.sizes import gpt_config
    from hwbench.accounts.memory import gpt_training
    from hwbench.accounts.steps import training_work

    model = gpt_config("124m")
    model.parameters                           # 124,439,808
    model.train_flops_per_token(seq=1024)      # FLOPs of forward and backward
    step, spans = training_work(model, batch=4, seq=512, optimizer="adamw")
    step.flops, step.bytes, step.tokens        # of one step; spans: forward, backward, optimizer
    gpt_training(model, 4, 512, "bf16", "adamw").peak   # bytes at the fullest moment

| module | what it counts |
|---|---|
| `gpt`, `sizes` | a GPT or Llama (`GPTConfig`), and the published sizes |
| `decoder` | any other decoder-only transformer, such as one that Transformers builds |
| `lstm`, `mlp` | a recurrent and a feed-forward network, with their sizes |
| `steps` | `Work` of a whole step and of its spans: training, forward, prefill, decode |
| `updates` | optimizers: what a step learns from, and what the update costs |
| `memory` | bytes held at the peak of a step |
| `matmul`, `attention` | one matrix product, one attention kernel |
| `elements` | bytes of an element of each number format |

FLOPs are model FLOPs and bytes are the fewest that a step must move: `gpt` defines both.
"""
