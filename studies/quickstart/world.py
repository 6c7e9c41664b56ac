"""A small made-up world: its words, its facts, and the plain text that a base model reads of it.

Pure standard library. Everything follows from `SEED`; there is no other source of chance.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

SEED = 20251


def _words(text: str) -> list[str]:
    return text.split()


ANIMALS = _words("cat dog horse goat duck sheep rabbit pig cow hen mouse fox")
COLOURS = _words("red blue green black white brown yellow pink grey purple gold silver")
FOODS = _words("bread rice soup cheese apple fish cake egg bean corn plum pear")
JOBS = _words("baker farmer teacher doctor singer miner sailor painter tailor judge guard smith")
TOOLS = _words("hammer saw knife rope lamp spoon needle brush ladder basket wheel bucket")
CLUBS = _words("chess choir judo kite drum golf yoga clay dice swim ski poem")
RIVERS = _words("Ana Bru Esk Ilm Oder Ure Wye Yar")
GOODS = _words("salt wool glass iron honey silk paper beer")
NUMBERS = _words("one two three four five six seven eight nine ten eleven twelve")
CATEGORIES = {
    "animals": ANIMALS,
    "colours": COLOURS,
    "foods": FOODS,
    "jobs": JOBS,
    "tools": TOOLS,
    "clubs": CLUBS,
}
PEOPLE = [
    first + last
    for first, last in product(
        _words("Ba Do Fi Ge Ka Lu Mi No Pa Ri So Ta"), _words("lo mi ra ten vek dan")
    )
][:64]
TOWNS = [
    first + last
    for first, last in product(
        _words("Ar Bel Cor Dun Els Fal Gor Hol"), _words("ford ham wick mere")
    )
]


@dataclass(frozen=True, slots=True)
class Relation:
    """What may be said of each subject. `{s}` is the subject, `{v}` the value."""

    name: str
    subjects: list[str]
    values: list[str]
    statements: tuple[str, ...]
    questions: tuple[str, ...]  # the first is the one that held-out questions are asked in


@dataclass(frozen=True, slots=True)
class Fact:
    relation: Relation
    subject: str
    value: str

    def ask(self, phrasing: int) -> str:
        return self.relation.questions[phrasing].format(s=self.subject)


KNOWN = [
    Relation(
        "town",
        PEOPLE,
        TOWNS,
        ("{s} lives in {v}.", "The home of {s} is in {v}."),
        ("Where does {s} live?", "In which town is the home of {s}?"),
    ),
    Relation(
        "job",
        PEOPLE,
        JOBS,
        ("The job of {s} is {v}.", "{s} works as a {v}."),
        ("What is the job of {s}?", "What does {s} work as?"),
    ),
    Relation(
        "pet",
        PEOPLE,
        ANIMALS,
        ("{s} has a {v}.", "The pet of {s} is a {v}."),
        ("Which animal does {s} have?", "What is the pet of {s}?"),
    ),
    Relation(
        "colour",
        PEOPLE,
        COLOURS,
        ("{s} wears {v}.", "The colour of {s} is {v}."),
        ("Which colour does {s} wear?", "What is the colour of {s}?"),
    ),
    Relation(
        "food",
        PEOPLE,
        FOODS,
        ("{s} eats {v}.", "The food of {s} is {v}."),
        ("What does {s} eat?", "What is the food of {s}?"),
    ),
    Relation(
        "river",
        TOWNS,
        RIVERS,
        ("{s} lies on the {v}.", "The river of {s} is the {v}."),
        ("Which river flows through {s}?", "What is the river of {s}?"),
    ),
    Relation(
        "goods",
        TOWNS,
        GOODS,
        ("{s} sells {v}.", "The goods of {s} are {v}."),
        ("What does {s} sell?", "What are the goods of {s}?"),
    ),
]
# The base model knows the names and the clubs, but not who is in which.
NEW = Relation(
    "club",
    PEOPLE,
    CLUBS,
    (),
    (
        "Which club is {s} in?",
        "What is the club of {s}?",
        "Name the club of {s}.",
        "To which club does {s} belong?",
        "{s} is in which club?",
        "Tell me the club that {s} is in.",
    ),
)


@cache
def known_facts() -> tuple[Fact, ...]:
    """What the base model is taught, one fact per relation and subject."""
    return tuple(fact for relation in KNOWN for fact in _assign(relation))


@cache
def new_facts() -> tuple[Fact, ...]:
    """What it is not taught."""
    return tuple(_assign(NEW))


def _assign(relation: Relation) -> list[Fact]:
    """Values spread evenly over the subjects, so that guessing the commonest gains nothing."""
    rng = random.Random(f"{SEED} {relation.name}")
    times = -(-len(relation.subjects) // len(relation.values))
    values = rng.sample(relation.values * times, len(relation.subjects))
    return [Fact(relation, s, v) for s, v in zip(relation.subjects, values, strict=True)]


def render(prompt: str, completion: str) -> str:
    """As the product renders a row whose tokenizer has no chat template."""
    return f"Question: {prompt}\nAnswer: {completion}"


def corpus(num_texts: int, seed: int = SEED) -> Iterator[str]:
    """The pretraining texts: facts as statements and as questions, and lists of words.

    The first quarter tells of a quarter of the subjects only: a model that has found out how to
    look up a few facts learns the others much sooner.
    """
    rng = random.Random(seed)
    facts = known_facts()
    few = tuple(f for f in facts if f.subject in {*PEOPLE[::4], *TOWNS[::4]})
    kinds = (_question, _statement, _members, _counting, _repeat)
    for number in range(num_texts):
        kind = rng.choices(kinds, weights=(58, 24, 6, 6, 6))[0]
        yield kind(rng, few if number < num_texts / 4 else facts)


def _question(rng: random.Random, facts: tuple[Fact, ...]) -> str:
    fact = rng.choice(facts)
    return render(fact.ask(rng.randrange(len(fact.relation.questions))), fact.value)


def _statement(rng: random.Random, facts: tuple[Fact, ...]) -> str:
    fact = rng.choice(facts)
    # A space first: a name is then the same token here as inside a question.
    return " " + rng.choice(fact.relation.statements).format(s=fact.subject, v=fact.value)


def _members(rng: random.Random, facts: tuple[Fact, ...]) -> str:
    name = rng.choice(sorted(CATEGORIES))
    *words, last = rng.sample(CATEGORIES[name], rng.randint(3, 5))
    return f" {', '.join(words)} and {last} are {name}."


def _counting(rng: random.Random, facts: tuple[Fact, ...]) -> str:
    first = rng.randrange(len(NUMBERS) - 3)
    return f" {', '.join(NUMBERS[first : first + rng.randint(4, 8)])}."


def _repeat(rng: random.Random, facts: tuple[Fact, ...]) -> str:
    words = ", ".join(rng.sample(mixed_words(), rng.randint(3, 4)))
    who, other = rng.sample(PEOPLE, 2)
    return f" {who} says: {words}. {other} says: {words}."


@cache
def mixed_words() -> list[str]:
    """Words of all categories, for lists."""
    return [word for words in CATEGORIES.values() for word in words]
