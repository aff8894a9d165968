import multiprocessing

import pytest

from hf_augment.generators.served.answer_store import AnswerStore


def write(path, number):
    store = AnswerStore(path)
    for i in range(100):
        assert store.put({"request": i}, f"{i} of {number}").startswith(f"{i} of ")
    store.close()


def test_processes_share_a_file_and_the_first_answer_stays(tmp_path):
    path = tmp_path / "new/answers.sqlite"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write, args=(path, number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    store = AnswerStore(path)
    assert len(store) == 100
    first = store.get({"request": 5})
    assert store.put({"request": 5}, "another") == first
    assert store.get({"request": 100}) is None


def test_requests_are_not_in_the_file(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    store.put({"prompt": "a labelled text of the user"}, "an answer")
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"an answer" in content
    assert b"labelled text" not in content


def test_another_file_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 200)
    with pytest.raises(ValueError, match=r"notes\.txt is no file of answers"):
        AnswerStore(path)
    assert path.read_text() == "my notes " * 200


def test_totals_are_of_the_answers_that_have_the_numbers(tmp_path):
    store = AnswerStore(tmp_path / "answers.sqlite")
    assert store.totals(("read", "written"), "answers") == {"answers": 0, "read": 0, "written": 0}
    store.put({"request": 1}, {"text": "a", "read": 10, "written": 2})
    store.put({"request": 2}, {"text": "b", "read": 0, "written": 3})
    store.put({"abilities": "m"}, {"seed": True})
    assert store.totals(("read", "written"), "answers") == {"answers": 2, "read": 10, "written": 5}
