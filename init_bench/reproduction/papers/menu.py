"""List the papers that can be rechecked; reading this file loads no torch."""

PAPERS: dict[str, str] = {
    "glorot2010": "Glorot & Bengio, Understanding the difficulty of training deep feedforward "
    "neural networks, 2010",
    "saxe2014": "Saxe, McClelland & Ganguli, Exact solutions to the nonlinear dynamics of learning "
    "in deep linear neural networks, 2014",
    "he2015": "He, Zhang, Ren & Sun, Delving deep into rectifiers, 2015",
    "mishkin2016": "Mishkin & Matas, All you need is a good init, 2016",
    "balduzzi2017": "Balduzzi et al., The shattered gradients problem, 2017",
    "pennington2017": "Pennington, Schoenholz & Ganguli, Resurrecting the sigmoid in deep learning "
    "through dynamical isometry, 2017",
    "schoenholz2017": "Schoenholz, Gilmer, Ganguli & Sohl-Dickstein, Deep information propagation, "
    "2017",
    "hanin2018": "Hanin & Rolnick, How to start training: the effect of initialization and "
    "architecture, 2018",
    "fixup2019": "Zhang, Dauphin & Ma, Fixup initialization: residual learning without "
    "normalization, 2019",
    "lu2019": "Lu, Shin, Su & Karniadakis, Dying ReLU and initialization, 2019",
    "sitzmann2020": "Sitzmann et al., Implicit neural representations with periodic activation "
    "functions, 2020",
    "kedia2024": "Kedia et al., Transformers get stable: an end-to-end signal propagation theory "
    "for language models, 2024",
}
"""Name of each paper, which is that of its file here, and what it is."""
