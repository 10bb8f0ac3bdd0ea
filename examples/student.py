"""Common code of the training scripts: command line, loss, training, and a student that starts as a part
of its teacher, so that it learns fast. It keeps

* of the vocabulary: the special tokens, every ASCII character, then the most frequent pieces of the training
  sentences;
* of the layers: those given;
* of each feed-forward network: the neurons with the largest |w_in| * |w_out|.
"""

import argparse, collections, json, pathlib, sys, time
import torch
import torch.nn.functional as F
from transformers import BertConfig


def arguments(doc, paths, defaults):
    """The command line: paths in this order, and an option for each default."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in paths:
        parser.add_argument(name)
    for name, default in defaults.items():
        parser.add_argument("--" + name, type=type(default), default=default)
    return parser.parse_args()


def cut_vocabulary(tokenizer, sentences, size):
    """The pieces to keep, in the order of their old ids: {piece: old id}."""
    vocab = tokenizer.get_vocab()
    count = collections.Counter(
        i for ids in tokenizer(sentences, add_special_tokens=False)["input_ids"] for i in ids
    )
    keep = set(tokenizer.all_special_ids) | {
        i for t, i in vocab.items() if len(t.removeprefix("##")) == 1 and t.isascii()
    }
    for i, _ in count.most_common():
        if len(keep) >= size:
            break
        keep.add(i)
    return {t: i for t, i in sorted(vocab.items(), key=lambda kv: kv[1]) if i in keep}


def write_tokenizer(teacher_dir, out, vocab, positions):
    """The teacher's tokenizer.json with the cut vocabulary; ids are renumbered."""
    new = {t: n for n, t in enumerate(vocab)}
    spec = json.load(open(pathlib.Path(teacher_dir) / "tokenizer.json", encoding="utf-8"))
    spec["model"]["vocab"] = new
    spec["truncation"] = spec["padding"] = None
    for t in spec["added_tokens"]:
        t["id"] = new[t["content"]]
    for t in spec["post_processor"]["special_tokens"].values():
        t["ids"] = [new[x] for x in t["tokens"]]
    json.dump(spec, open(out / "tokenizer.json", "w", encoding="utf-8"), ensure_ascii=False)
    json.dump(
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": positions},
        open(out / "tokenizer_config.json", "w"),
        indent=1,
    )


def student_from(teacher, vocab, layers, ffn, positions):
    """A smaller model of the teacher's class that starts as a piece of it: some layers, the strongest
    feed-forward neurons, the cut vocabulary."""
    c = teacher.config
    s = type(teacher)(
        BertConfig(
            vocab_size=len(vocab),
            hidden_size=c.hidden_size,
            num_hidden_layers=len(layers),
            num_attention_heads=c.num_attention_heads,
            intermediate_size=ffn,
            max_position_embeddings=positions,
            type_vocab_size=c.type_vocab_size,
            hidden_act=c.hidden_act,
            layer_norm_eps=c.layer_norm_eps,
            id2label=c.id2label,
            label2id=c.label2id,
            problem_type=c.problem_type,
        )
    )
    old = teacher.state_dict()
    new = {}
    for k, v in s.state_dict().items():
        o = k
        if ".layer." in k:
            n = int(k.split(".layer.")[1].split(".")[0])
            o = k.replace(f".layer.{n}.", f".layer.{layers[n]}.")
        t = old[o] if o in old else v
        if "word_embeddings" in k:
            t = t[list(vocab.values())]
        if "position_embeddings" in k:
            t = t[:positions]
        if t.shape != v.shape and "layer." in k:
            base = o.rsplit(".layer.", 1)[0] + f".layer.{layers[n]}."
            norm = old[base + "intermediate.dense.weight"].norm(dim=1) * old[
                base + "output.dense.weight"
            ].norm(dim=0)
            best = norm.topk(ffn).indices.sort().values
            t = t[:, best] if k.endswith("output.dense.weight") else t[best]
        new[k] = t.clone()
    s.load_state_dict(new)
    return s


def batches(lengths, size, generator):
    """Batches of similar length (little padding), in random order."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], generator.random()))
    groups = [order[i : i + size] for i in range(0, len(order), size)]
    generator.shuffle(groups)
    return groups


def distilled_loss(got, want, labels, label_share, temperature=1.0):
    """How far logits are from the teacher's (Hinton et al., "Distilling the Knowledge in a Neural Network"),
    mixed with how far they are from the labels."""
    soft = F.kl_div(
        F.log_softmax(got / temperature, 1), F.softmax(want / temperature, 1), reduction="batchmean"
    )
    return (1 - label_share) * soft * temperature**2 + label_share * F.cross_entropy(got, labels)


def learn(model, plan, rate, loss_of, every, figure=lambda: ""):
    """Trains on the batches of the plan; loss_of(batch) is to become small. The rate rises, then falls. Every
    so many steps the loss and the figure go to standard error."""
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=len(plan), pct_start=0.1)
    start = time.time()
    for step, batch in enumerate(plan, 1):
        model.train()
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % every == 0 or step == len(plan):
            took = time.time() - start
            print(f"step {step}/{len(plan)} loss {loss.item():.4f}{figure()} {took:.0f} s", file=sys.stderr)
