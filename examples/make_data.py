"""Write real data for the other examples, from scikit-learn's wheel: python examples/make_data.py

data/digits/<class>/*.png   handwritten digits, 8x8 grey, in class folders
data/digits.csv             the same images as an annotations file: file,label,number
data/outliers.csv           diabetes.csv with splits, a tenth of the training targets ten times too large
data/holes.csv              diabetes.csv with one cell in twenty empty, and three patients without a progression
data/diabetes.csv           442 patients: ten measurements and the progression of the disease after a year
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits

root = Path("data")
digits = load_digits()
rows = []
for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
    path = root / "digits" / str(label) / f"{index:04d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 255 / 16).round().astype("uint8")).save(path)
    rows.append({"file": str(path.relative_to(root / "digits")), "label": label, "number": index})
pd.DataFrame(rows).to_csv(root / "digits.csv", index=False)

diabetes = load_diabetes(as_frame=True, scaled=False).frame
diabetes = diabetes.rename(columns={"target": "progression"})
outliers = diabetes.sample(frac=1, random_state=0).reset_index(drop=True)
outliers["split"] = ["train"] * 310 + ["val"] * 66 + ["test"] * 66
outliers.loc[:30, "progression"] *= 10
outliers.to_csv(root / "outliers.csv", index=False)
diabetes["sex"] = diabetes["sex"].map({1: "one", 2: "two"})
diabetes.to_csv(root / "diabetes.csv", index=False)
holes = diabetes.mask(np.random.default_rng(0).random(diabetes.shape) < 0.05)
holes["progression"] = diabetes["progression"].where(~diabetes.index.isin([40, 120, 300]))
holes.to_csv(root / "holes.csv", index=False)
print(f"wrote {len(rows)} images, and four tables below {root}/")
