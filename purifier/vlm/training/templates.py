"""The phrasings of questions that are made from boxes, and the classes that belong together."""

PRESENCE = (
    "is there a {x}",
    "is there a {x} in the picture",
    "can you see a {x}",
    "does the picture show a {x}",
    "do you see a {x}",
    "is a {x} visible",
    "is any {x} in this photo",
    "are there any {xs}",
)
COUNT = (
    "how many {xs} are there",
    "how many {xs} are in the picture",
    "how many {xs} do you see",
    "count the {xs}",
    "what is the number of {xs}",
    "how many {xs} can you see in this photo",
)
PLACE = (
    "where is the {x}",
    "in which part of the picture is the {x}",
    "on which side is the {x}",
    "where in the photo is the {x}",
)
LEFT = (
    "what is to the left of the {x}",
    "what is on the left side of the {x}",
    "what is left of the {x}",
    "which object is to the left of the {x}",
)
RIGHT = (
    "what is to the right of the {x}",
    "what is on the right side of the {x}",
    "what is right of the {x}",
    "which object is to the right of the {x}",
)
RELATION = (
    "is the {x} to the left or to the right of the {y}",
    "is the {x} left or right of the {y}",
    "on which side of the {y} is the {x}",
)
LARGER = (
    "which is larger , the {x} or the {y}",
    "what is bigger , the {x} or the {y}",
    "which takes up more of the picture , the {x} or the {y}",
)
LARGEST = (
    "what is the largest object",
    "what is the biggest thing in the picture",
    "what is the main object",
    "which object is the largest",
)
CATEGORY = (
    "what {c} is in the picture",
    "which {c} is this",
    "what kind of {c} is this",
    "what {c} do you see",
    "what {c} is shown",
)
CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    "vehicle": ("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    "food": ("banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake"),
    "furniture": ("chair", "couch", "potted plant", "bed", "dining table", "toilet"),
    "appliance": ("microwave", "oven", "toaster", "sink", "refrigerator"),
    "device": ("tv", "laptop", "mouse", "remote", "keyboard", "cell phone"),
}
PLURALS = {
    "person": "people",
    "sheep": "sheep",
    "mouse": "mice",
    "knife": "knives",
    "skis": "skis",
    "scissors": "scissors",
    "bus": "buses",
    "wine glass": "wine glasses",
    "couch": "couches",
    "bench": "benches",
    "sandwich": "sandwiches",
    "toothbrush": "toothbrushes",
}
