#!/usr/bin/env python3
"""make_stories.py - the tales of configs/data/stories, for a GPT that is trained from nothing without a download.

Each is put together from the phrases below: who, where, what was lost or broken, who helped, how it ended. usage:
make_stories.py FOLDER writes train.jsonl and validation.jsonl; no tale stands in both.
"""
import json
import os
import random
import sys

WHO = [("fox", "he"), ("owl", "she"), ("miller", "he"), ("old woman", "she"), ("hare", "he"), ("tailor", "he"), ("goose", "she"),
       ("shepherd", "he"), ("ferryman", "he"), ("young queen", "she"), ("baker", "she"), ("bear", "he")]
MOOD = ["quiet", "proud", "hungry", "patient", "curious", "lonely", "cheerful", "clever"]
WHERE = ["at the edge of the forest", "by the long river", "on a windy hill", "in a small harbour town", "behind the old mill",
         "under a hollow oak", "where the road ends", "in the valley of stones"]
THING = ["a silver key", "a red lantern", "a sack of seed", "a wooden whistle", "a letter without a name", "a blue kettle",
         "the last candle", "a map of the marshes", "a little bell"]
WHEN = ["One cold morning", "On the first day of spring", "Late one evening", "When the snow had melted", "After the great storm",
        "In the middle of the night"]
LOST = ["{It} was gone from the shelf", "{It} had slipped through a hole in the floor", "{It} lay broken in two",
        "the wind had carried {it} away", "somebody had buried {it} in the garden"]
SEARCH = ["{He} looked under every leaf and found only beetles.", "{He} asked the crows, but the crows were busy.",
          "{He} walked until the path was no wider than a thread.", "{He} sat down and counted to a hundred.",
          "{He} climbed the tallest tree and saw nothing but clouds."]
SAID = ['"You must wait for the moon," said the {b}.', '"Have you asked the river?" said the {b}.',
        '"I will help you, if you sing," said the {b}.', '"Nothing is lost that is remembered," said the {b}.',
        '"Give me half of your bread," said the {b}.']
DONE = ["So they worked together until dawn.", "So they followed the water down to the sea.", "So {he} sang, and the stones listened.",
        "So they shared the bread and looked again.", "So they waited, and the moon came up like a coin."]
END = ["And there, in plain sight, was {thing}.", "And {thing} was never lost again.", "And from that day the door stood open for every guest.",
       "And the two of them were friends until the end of their days.", "And whoever passes there at night can hear them laugh."]


def capital(s): return s[0].upper() + s[1:]


def tale(r):
    (a, he), (b, _) = r.sample(WHO, 2)
    thing = r.choice(THING)
    said = {"He": capital(he), "he": he, "b": b, "thing": "the " + thing.split(" ", 1)[1], "it": "it", "It": "it"}
    one = "a" if r.random() < 0.7 else "once a"
    lines = [f"There was {one} {r.choice(MOOD)} {a} who lived {r.choice(WHERE)} and kept {thing}.",
             f"{r.choice(WHEN)} {r.choice(LOST)}.".replace("{It}", "it"), *r.sample(SEARCH, r.randint(1, 2)),
             f"Then came a {r.choice(MOOD)} {b}. " + r.choice(SAID), r.choice(DONE), r.choice(END)]
    return "\n".join(line.format(**said) for line in lines)


r, tales = random.Random(7), []
while len(tales) < 350:
    t = tale(r)
    if t not in tales: tales.append(t)
for name, part in (("validation", tales[:50]), ("train", tales[50:])):
    with open(os.path.join(sys.argv[1], name + ".jsonl"), "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"text": t}) + "\n" for t in part)
