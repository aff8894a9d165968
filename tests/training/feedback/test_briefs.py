import dataclasses
import json

from hf_augment.training.feedback.briefs import Brief, brief_key, read_brief, write_brief


def test_briefs_are_files_that_are_known_by_what_they_rest_on(tmp_path):
    brief = Brief(1, "", 4, 20, [0.5, 0.5], [[3, 1]], [[(2, 0.25), (5, None)]], figures={"entropy": 0.5})
    brief = dataclasses.replace(brief, seeds=[[(6, 1)]], confusions=[(0, 1, 3)])
    brief = dataclasses.replace(brief, key=brief_key([], "weights", "facts"))
    write_brief(tmp_path, brief)
    assert read_brief(tmp_path, 1, brief.key) == brief
    assert read_brief(tmp_path, 2, brief.key) is None
    others = [
        brief_key([brief], "weights", "facts"),
        brief_key([], "others", "facts"),
        brief_key([], "weights", ""),
    ]
    assert len({brief.key, *others}) == 4
    values = json.loads(json.dumps(dataclasses.asdict(brief)))
    assert Brief.from_dict(values) == brief
    assert brief.told() == {"step": 4, "class_shares": [0.5, 0.5], "confusions": [(0, 1, 3)]}
    # Those that were written before.
    del values["confusions"]
    assert Brief.from_dict(values).confusions == []
