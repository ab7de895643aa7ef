"""The benchmark's image: 4 layers, 24 000 files, about 990 MB that compress to about 414 MB.

The content is drawn from a seeded generator: part of every file is noise, which does not compress, and the rest is
text, which does; sizes are log-normal, as in a real system image (many small files, few large ones).
"""
import concurrent.futures
import random

import tree

LAYERS = 4
FILES = 6000            # in a layer
MEAN = 41250            # bytes in a file
NOISE = 0.16            # of every file; gzip leaves about a third of the text
WORDS = [bytes(word, "ascii") for word in ("layer", "digest", "folder", "archive", "mount", "process", "namespace", "kernel", "record", "number")]


def sizes(generator):
    drawn = [generator.lognormvariate(0, 1.6) for _ in range(FILES)]
    scale = FILES * MEAN / sum(drawn)
    return [int(size * scale) for size in drawn]


def layer(number):
    generator = random.Random(number)
    text = b" ".join(generator.choice(WORDS) + b"%d" % generator.randrange(10000) for _ in range(200000))
    entries = [tree.folder("big"), tree.folder(f"big/{number}")]
    for index, size in enumerate(sizes(generator)):
        if index % 60 == 0:
            entries.append(tree.folder(f"big/{number}/{index // 60:03}"))
        noise = int(size * NOISE)
        content = generator.randbytes(noise)
        while len(content) < size:
            start = generator.randrange(len(text))
            content += text[start:start + size - len(content)]
        entries.append(tree.file(f"big/{number}/{index // 60:03}/{index:04}", content))
    return tree.tar(entries)


def compressed(number, compress):
    return compress(layer(number))


def layers(compress):
    """Two at a time: one archive and its copies take most of a gigabyte."""
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as pool:
        return list(pool.map(compressed, range(LAYERS), [compress] * LAYERS))
