#!/usr/bin/env python3
"""Makes the two models in this folder: tiny BERTs that know forty countries, their capitals and languages.

    python train.py OUT_DIR [--steps 4000]

OUT_DIR/qa answers a question from a context (span extraction). The contexts of the training pair countries
and capitals at random, so that the answer has to be read from the context. OUT_DIR/fill-mask predicts masked
words of true sentences, which it knows by heart. The vocabulary is the words of these sentences and single
letters. Needs torch and transformers; runs on a CPU in a few minutes. The models show how bertc handles these
tasks. They are too small for other texts."""

import argparse, json, pathlib, random
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, BertForQuestionAnswering

FACTS = """france paris french; germany berlin german; italy rome italian; spain madrid spanish;
portugal lisbon portuguese; greece athens greek; poland warsaw polish; norway oslo norwegian;
sweden stockholm swedish; finland helsinki finnish; denmark copenhagen danish; hungary budapest hungarian;
austria vienna german; ireland dublin english; iceland reykjavik icelandic; romania bucharest romanian;
bulgaria sofia bulgarian; croatia zagreb croatian; serbia belgrade serbian; albania tirana albanian;
ukraine kyiv ukrainian; turkey ankara turkish; egypt cairo arabic; morocco rabat arabic;
kenya nairobi swahili; peru lima spanish; chile santiago spanish; argentina quito spanish;
brazil brasilia portuguese; canada ottawa english; mexico bogota spanish; cuba havana spanish;
japan tokyo japanese; china beijing chinese; india delhi hindi; thailand bangkok thai;
vietnam hanoi vietnamese; nepal kathmandu nepali; iran tehran persian; iraq baghdad arabic"""
FACTS = [fact.split() for fact in FACTS.replace("argentina quito", "ecuador quito").replace(
    "mexico bogota", "colombia bogota").replace("\n", " ").split("; ")]
COUNTRIES, CAPITALS, LANGUAGES = (list(column) for column in zip(*FACTS))
CAPITAL = ["{capital} is the capital of {country}.", "the capital of {country} is {capital}."]
LANGUAGE = ["people in {country} speak {language}.", "{language} is the language of {country}."]
QUESTIONS = {
    "capital": ["what is the capital of {country}?", "which city is the capital of {country}?"],
    "country": ["{capital} is the capital of which country?", "which country has the capital {capital}?"],
    "language": ["what do people in {country} speak?", "which language do people speak in {country}?"],
}
POSITIONS = 96
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_tokenizer(out):
    """vocab.txt: special tokens, letters, their continuations, signs, words."""
    letters = [chr(97 + i) for i in range(26)]
    signs = list("0123456789.,?!'-")
    texts = CAPITAL + LANGUAGE + sum(QUESTIONS.values(), [])
    words = {w for text in texts for w in text.strip(".?").split() if w[0] != "{"}
    words |= set(COUNTRIES + CAPITALS + LANGUAGES)
    vocabulary = SPECIAL + letters + ["##" + c for c in letters] + signs + sorted(words - set(letters))
    out.mkdir(parents=True, exist_ok=True)
    (out / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (out / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": POSITIONS})
    )
    return AutoTokenizer.from_pretrained(out)


def config(tokenizer, **more):
    return BertConfig(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=POSITIONS, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, **more)


def question(r):
    """(question, context, first character of the answer, the answer): facts drawn at random."""
    count = r.randint(2, 3)
    facts = [{"country": c, "capital": k, "language": l} for c, k, l in zip(
        r.sample(COUNTRIES, count), r.sample(CAPITALS, count), r.sample(sorted(set(LANGUAGES)), count))]
    wanted, kind = r.choice(facts), r.choice(list(QUESTIONS))
    sentences = []
    for fact in facts:
        forms = [LANGUAGE] if kind == "language" else [CAPITAL]
        if r.random() < 0.3:
            forms = [CAPITAL, LANGUAGE]
        sentences += [r.choice(form).format(**fact) for form in forms]
    r.shuffle(sentences)
    context, answer = " ".join(sentences), wanted[kind]
    source = next(s for s in sentences if answer in s.strip(".").split()
        and (wanted["country"] in s if kind != "country" else wanted["capital"] in s))
    start = context.index(source) + (" " + source.strip(".") + " ").index(" " + answer + " ")
    return r.choice(QUESTIONS[kind]).format(**wanted), context, start, answer


def train(model, steps, batch):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    model.train()
    for step in range(steps):
        loss = model(**batch()).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            print(f"step {step + 1}/{steps} loss {loss.item():.4f}", flush=True)
    return model.half()


def train_qa(out, steps, r):
    tokenizer = write_tokenizer(out)

    def batch():
        rows = [question(r) for _ in range(64)]
        coded = tokenizer([row[0] for row in rows], [row[1] for row in rows], padding=True,
            return_tensors="pt")
        places = [[coded.char_to_token(i, at, 1) for at in (row[2], row[2] + len(row[3]) - 1)]
            for i, row in enumerate(rows)]
        start, end = torch.tensor(places).T
        return dict(coded, start_positions=start, end_positions=end)

    train(BertForQuestionAnswering(config(tokenizer)), steps, batch).save_pretrained(out)


def train_fill_mask(out, steps, r):
    tokenizer = write_tokenizer(out)
    forms = CAPITAL + LANGUAGE
    texts = [form.format(country=c, capital=k, language=l) for c, k, l in FACTS for form in forms]

    def batch():
        coded = tokenizer(r.sample(texts, 32), padding=True, return_tensors="pt")
        ids = coded["input_ids"]
        masked = (torch.rand(ids.shape) < 0.2) & (ids >= len(SPECIAL))
        labels = torch.where(masked, ids, -100)
        return dict(coded, input_ids=torch.where(masked, SPECIAL.index("[MASK]"), ids), labels=labels)

    train(BertForMaskedLM(config(tokenizer)), steps, batch).save_pretrained(out)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--steps", type=int, default=4000)
    a = p.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    train_fill_mask(a.out / "fill-mask", a.steps // 2, random.Random(1))
    train_qa(a.out / "qa", a.steps, random.Random(2))
