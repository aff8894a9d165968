import threading
import time

from hf_augment.locks import locked


def test_a_second_program_says_that_it_waits(tmp_path, capsys):
    done = []

    def second():
        with locked(tmp_path / "locks/a.lock", "a comparison in this folder"):
            done.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "locks/a.lock", "a comparison in this folder"):
        assert capsys.readouterr().out == ""
        thread.start()
        for _ in range(200):
            if told := capsys.readouterr().out:
                break
            time.sleep(0.05)
        done.append("first")
    thread.join(20)
    assert done == ["first", "second"]
    assert told.strip() == "· Waiting: another process does a comparison in this folder"
