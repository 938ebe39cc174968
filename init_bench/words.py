"""Put numbers into words, the same in reports, pages, figures and messages."""


def counted(number: int | str, noun: str) -> str:
    """Return a number of things, in the plural unless it is one.

    Example:
        >>> counted(1, "seed"), counted(0, "seed"), counted("2.5", "CPU")
        ('1 seed', '0 seeds', '2.5 CPUs')
    """
    return f"{number} {noun}{'s' * (str(number) != '1')}"


def capitalized(text: str) -> str:
    """Return ``text`` as a sentence begins; names inside it keep their case.

    Example:
        >>> capitalized("layer fc1 of LeNet")
        'Layer fc1 of LeNet'
    """
    return text[:1].upper() + text[1:]
