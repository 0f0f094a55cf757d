"""The papers of channel attention. No torch."""

from dataclasses import replace

from zoo.specs import Paper

SE_PAPER = Paper(
    title="Squeeze-and-Excitation Networks",
    authors="Jie Hu, Li Shen, Gang Sun",
    venue="CVPR",
    year=2018,
    arxiv="1709.01507",
)
ECA_PAPER = Paper(
    title="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    authors="Qilong Wang et al.",
    venue="CVPR",
    year=2020,
    arxiv="1910.03151",
)
GC_PAPER = Paper(
    title="GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    authors="Yue Cao, Jiarui Xu, Stephen Lin, Fangyun Wei, Han Hu",
    venue="ICCV Workshops",
    year=2019,
    arxiv="1904.11492",
)
SK_PAPER = Paper(
    title="Selective Kernel Networks",
    authors="Xiang Li, Wenhai Wang, Xiaolin Hu, Jian Yang",
    venue="CVPR",
    year=2019,
    arxiv="1903.06586",
)
SPLIT_ATTENTION_PAPER = Paper(
    title="ResNeSt: Split-Attention Networks",
    authors="Hang Zhang et al.",
    venue="CVPR Workshops",
    year=2022,
    arxiv="2004.08955",
)
CECA_PAPER = replace(ECA_PAPER, title="ECA-Net (circular padding by Chris Ha, in timm)")
ESE_PAPER = Paper(
    title="CenterMask: Real-Time Anchor-Free Instance Segmentation",
    authors="Youngwan Lee, Jongyoul Park",
    venue="CVPR",
    year=2020,
    arxiv="1911.06667",
)
SAN_PAPER = Paper(
    title="Second-order Attention Network for Single Image Super-Resolution",
    authors="Tao Dai, Jianrui Cai, Yongbing Zhang, Shu-Tao Xia, Lei Zhang",
    venue="CVPR",
    year=2019,
)
A2_PAPER = Paper(
    title="A^2-Nets: Double Attention Networks",
    authors="Yunpeng Chen, Yannis Kalantidis, Jianshu Li, Shuicheng Yan, Jiashi Feng",
    venue="NeurIPS",
    year=2018,
    arxiv="1810.11579",
)
DANET_PAPER = Paper(
    title="Dual Attention Network for Scene Segmentation",
    authors="Jun Fu et al.",
    venue="CVPR",
    year=2019,
    arxiv="1809.02983",
)
FCA_PAPER = Paper(
    title="FcaNet: Frequency Channel Attention Networks",
    authors="Zequn Qin, Pengyi Zhang, Fei Wu, Xi Li",
    venue="ICCV",
    year=2021,
    arxiv="2012.11879",
)
GATHER_EXCITE_PAPER = Paper(
    title="Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks",
    authors="Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Andrea Vedaldi",
    venue="NeurIPS",
    year=2018,
    arxiv="1810.12348",
)
EPSANET_PAPER = Paper(
    title="EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural Network",
    authors="Hu Zhang, Keke Zu, Jian Lu, Yuru Zou, Deyu Meng",
    venue="ACCV",
    year=2022,
    arxiv="2105.14447",
)
PARNET_PAPER = Paper(
    title="Non-deep Networks",
    authors="Ankit Goyal, Alexey Bochkovskiy, Jia Deng, Vladlen Koltun",
    venue="NeurIPS",
    year=2022,
    arxiv="2110.07641",
)
HOGA_PAPER = Paper(
    title="Auto Learning Attention",
    authors="Benteng Ma, Jing Zhang, Yong Xia, Dacheng Tao",
    venue="NeurIPS",
    year=2020,
)
