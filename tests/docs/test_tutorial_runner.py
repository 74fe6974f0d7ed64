"""The runner of the documentation's examples finds what is shown wrongly."""

import pytest

from tests.support.tutorial import Shown, blocks, refreshed, run

PAGE = """# A page

<!-- file: numbers.txt -->
```text
4
```

```python
total = 1 + int(open("numbers.txt").read())
print(total)
```

```text
6
```

```python
print(total, "is not shown")
```

Text between a block and another one: not what it prints.

```text
0
```

```console
$ cat numbers.txt
...
$ echo one; echo two
...
three
$ true
```
"""


@pytest.mark.parametrize(
    ("expected", "actual", "right"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb\n", "a\nc", False),
        ("a\n", "a\nb\n", False),
        ("...\nb\n", "1\n2\nb\n", True),
        ("a\n...\n", "a\n1\n2\n", True),
        ("a\n...\nb\n", "a\nb\n", True),
        ("a\n...\nb\n", "a\n1\n2\n", False),
        ("a.c\n", "abc\n", False),
    ],
)
def test_three_dots_stand_for_any_lines_and_nothing_else_does(expected, actual, right):
    assert Shown(0, 0, 1, expected, actual).right is right


def test_blocks_run_in_one_session_and_what_is_wrong_is_found_and_mended(tmp_path):
    kinds = [block.kind for block in blocks(PAGE)]
    assert kinds == ["text", "python", "text", "python", "text", "console"]
    shown = run(PAGE, tmp_path)
    assert [(one.line, one.actual, one.right) for one in shown] == [
        (14, "5\n", False),
        (29, "4\n", True),
        (31, "one\ntwo\n", False),
    ]
    mended = refreshed(PAGE, shown)
    assert "```text\n5\n```" in mended and "echo two\none\ntwo\n$ true\n" in mended
    assert all(one.right for one in run(mended, tmp_path))


def test_a_command_that_fails_is_no_example(tmp_path):
    with pytest.raises(AssertionError, match="ends with 3"):
        run("```console\n$ exit 3\n```\n", tmp_path)
