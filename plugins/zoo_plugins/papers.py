"""Every paper that the zoo cites, once. No torch."""

from zoo.registry.specs import Paper

A2_NET = Paper(
    title="A^2-Nets: Double Attention Networks",
    authors="Yunpeng Chen, Yannis Kalantidis, Jianshu Li, Shuicheng Yan, Jiashi Feng",
    venue="NeurIPS",
    year=2018,
    arxiv="1810.11579",
)
ACF = Paper(
    title="ACFNet: Attentional Class Feature Network for Semantic Segmentation",
    authors="Fan Zhang et al.",
    venue="ICCV",
    year=2019,
    arxiv="1909.09408",
)
ACMIX = Paper(
    title="On the Integration of Self-Attention and Convolution",
    authors="Xuran Pan et al.",
    venue="CVPR",
    year=2022,
    arxiv="2111.14556",
)
ADL = Paper(
    title="Attention-based Dropout Layer for Weakly Supervised Object Localization",
    authors="Junsuk Choe, Hyunjung Shim",
    venue="CVPR",
    year=2019,
    arxiv="1908.10028",
)
AGENT = Paper(
    title="Agent Attention: On the Integration of Softmax and Linear Attention",
    authors="Dongchen Han et al.",
    venue="ECCV",
    year=2024,
    arxiv="2312.08874",
)
ATTENTION_BRANCH = Paper(
    title=("Attention Branch Network: Learning of Attention Mechanism for Visual Explanation"),
    authors="Hiroshi Fukui, Tsubasa Hirakawa, Takayoshi Yamashita, Hironobu Fujiyoshi",
    venue="CVPR",
    year=2019,
    arxiv="1812.10025",
)
ATTENTION_FREE = Paper(
    title="An Attention Free Transformer",
    authors="Shuangfei Zhai et al.",
    venue="arXiv",
    year=2021,
    arxiv="2105.14103",
)
ATTENTION_GATE = Paper(
    title="Attention U-Net: Learning Where to Look for the Pancreas",
    authors="Ozan Oktay et al.",
    venue="MIDL",
    year=2018,
    arxiv="1804.03999",
)
AXIAL = Paper(
    title="Axial-DeepLab: Stand-Alone Axial-Attention for Panoptic Segmentation",
    authors="Huiyu Wang et al.",
    venue="ECCV",
    year=2020,
    arxiv="2003.07853",
)
BAM = Paper(
    title="BAM: Bottleneck Attention Module",
    authors="Jongchan Park, Sanghyun Woo, Joon-Young Lee, In So Kweon",
    venue="BMVC",
    year=2018,
    arxiv="1807.06514",
)
BAT = Paper(
    title="Non-Local Neural Networks With Grouped Bilinear Attentional Transforms",
    authors="Lu Chi, Zehuan Yuan, Yadong Mu, Changhu Wang",
    venue="CVPR",
    year=2020,
    doi="10.1109/CVPR42600.2020.01182",
)
BAYESIAN_ATTENTION = Paper(
    title="Bayesian Attention Modules",
    authors="Xinjie Fan, Shujian Zhang, Bo Chen, Mingyuan Zhou",
    venue="NeurIPS",
    year=2020,
    arxiv="2010.10604",
)
BELIEF_NETWORK = Paper(
    title="Bayesian Attention Belief Networks",
    authors="Shujian Zhang, Xinjie Fan, Bo Chen, Mingyuan Zhou",
    venue="ICML",
    year=2021,
    arxiv="2106.05251",
)
BIFORMER = Paper(
    title="BiFormer: Vision Transformer with Bi-Level Routing Attention",
    authors="Lei Zhu, Xinjiang Wang, Zhanghan Ke, Wayne Zhang, Rynson Lau",
    venue="CVPR",
    year=2023,
    arxiv="2303.08810",
)
BOOSTED = Paper(
    title="Boosted Attention: Leveraging Human Attention for Image Captioning",
    authors="Shi Chen, Qi Zhao",
    venue="ECCV",
    year=2018,
    arxiv="1904.00767",
)
BOTTLENECK = Paper(
    title="Bottleneck Transformers for Visual Recognition",
    authors="Aravind Srinivas et al.",
    venue="CVPR",
    year=2021,
    arxiv="2101.11605",
)
CAIT = Paper(
    title="Going deeper with Image Transformers",
    authors="Hugo Touvron et al.",
    venue="ICCV",
    year=2021,
    arxiv="2103.17239",
)
CASCADED_GROUP = Paper(
    title="EfficientViT: Memory Efficient Vision Transformer with Cascaded Group Attention",
    authors="Xinyu Liu et al.",
    venue="CVPR",
    year=2023,
    arxiv="2305.07027",
)
CBAM = Paper(
    title="CBAM: Convolutional Block Attention Module",
    authors="Sanghyun Woo, Jongchan Park, Joon-Young Lee, In So Kweon",
    venue="ECCV",
    year=2018,
    arxiv="1807.06521",
)
CECA = Paper(
    title="ECA-Net (circular padding by Chris Ha, in timm)",
    authors="Qilong Wang et al.",
    venue="CVPR",
    year=2020,
    arxiv="1910.03151",
)
CHANNEL_PRIOR = Paper(
    title="Channel prior convolutional attention for medical image segmentation",
    authors="Hejun Huang et al.",
    venue="Computers in Biology and Medicine",
    year=2024,
    arxiv="2306.05196",
)
CLIP = Paper(
    title="Learning Transferable Visual Models From Natural Language Supervision",
    authors="Alec Radford et al.",
    venue="ICML",
    year=2021,
    arxiv="2103.00020",
)
CLUSTERED = Paper(
    title="Fast Transformers with Clustered Attention",
    authors="Apoorv Vyas, Angelos Katharopoulos, François Fleuret",
    venue="NeurIPS",
    year=2020,
    arxiv="2007.04825",
)
CONCURRENT_SE = Paper(
    title=("Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks"),
    authors="Abhijit Guha Roy, Nassir Navab, Christian Wachinger",
    venue="MICCAI",
    year=2018,
    arxiv="1803.02579",
)
CONTEXT_ANCHOR = Paper(
    title="Poly Kernel Inception Network for Remote Sensing Detection",
    authors="Xinhao Cai et al.",
    venue="CVPR",
    year=2024,
    arxiv="2403.06258",
)
CONVIT = Paper(
    title="ConViT: Improving Vision Transformers with Soft Convolutional Inductive Biases",
    authors="Stephane d'Ascoli et al.",
    venue="ICML",
    year=2021,
    arxiv="2103.10697",
)
COORDINATE = Paper(
    title="Coordinate Attention for Efficient Mobile Network Design",
    authors="Qibin Hou, Daquan Zhou, Jiashi Feng",
    venue="CVPR",
    year=2021,
    arxiv="2103.02907",
)
COT = Paper(
    title="Contextual Transformer Networks for Visual Recognition",
    authors="Yehao Li, Ting Yao, Yingwei Pan, Tao Mei",
    venue="TPAMI",
    year=2022,
    arxiv="2107.12292",
)
CO_EXCITATION = Paper(
    title="One-Shot Object Detection with Co-Attention and Co-Excitation",
    authors="Ting-I Hsieh, Yi-Chen Lo, Hwann-Tzong Chen, Tyng-Luh Liu",
    venue="NeurIPS",
    year=2019,
    arxiv="1911.12529",
)
CRISS_CROSS = Paper(
    title="CCNet: Criss-Cross Attention for Semantic Segmentation",
    authors="Zilong Huang et al.",
    venue="ICCV",
    year=2019,
    arxiv="1811.11721",
)
CROSS_ATTENTION_NETWORK = Paper(
    title="Cross Attention Network for Few-shot Classification",
    authors="Ruibing Hou, Hong Chang, Bingpeng Ma, Shiguang Shan, Xilin Chen",
    venue="NeurIPS",
    year=2019,
    arxiv="1910.07677",
)
DANET = Paper(
    title="Dual Attention Network for Scene Segmentation",
    authors="Jun Fu et al.",
    venue="CVPR",
    year=2019,
    arxiv="1809.02983",
)
DASNET = Paper(
    title="Deep Networks with Internal Selective Attention through Feedback Connections",
    authors="Marijn F. Stollenga, Jonathan Masci, Faustino Gomez, Jürgen Schmidhuber",
    venue="NIPS",
    year=2014,
    arxiv="1407.3068",
)
DAT = Paper(
    title="Vision Transformer with Deformable Attention",
    authors="Zhuofan Xia, Xuran Pan, Shiji Song, Li Erran Li, Gao Huang",
    venue="CVPR",
    year=2022,
    arxiv="2201.00520",
)
DEFORMABLE_DETR = Paper(
    title="Deformable DETR: Deformable Transformers for End-to-End Object Detection",
    authors="Xizhou Zhu, Weijie Su, Lewei Lu, Bin Li, Xiaogang Wang, Jifeng Dai",
    venue="ICLR",
    year=2021,
    arxiv="2010.04159",
)
DEFORMABLE_LARGE_KERNEL = Paper(
    title=(
        "Beyond Self-Attention: Deformable Large Kernel Attention for Medical Image Segmentation"
    ),
    authors="Reza Azad et al.",
    venue="WACV",
    year=2024,
    arxiv="2309.00121",
)
DIFFERENTIAL = Paper(
    title="Differential Transformer",
    authors="Tianzhu Ye et al.",
    venue="ICLR",
    year=2025,
    arxiv="2410.05258",
)
DRAM = Paper(
    title="Multiple Object Recognition with Visual Attention",
    authors="Jimmy Lei Ba, Volodymyr Mnih, Koray Kavukcuoglu",
    venue="ICLR",
    year=2015,
    arxiv="1412.7755",
)
DVAN = Paper(
    title="Diversified Visual Attention Networks for Fine-Grained Object Classification",
    authors="Bo Zhao, Xiao Wu, Jiashi Feng, Qiang Peng, Shuicheng Yan",
    venue="IEEE Transactions on Multimedia",
    year=2017,
    arxiv="1606.08572",
)
ECA = Paper(
    title="ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    authors="Qilong Wang et al.",
    venue="CVPR",
    year=2020,
    arxiv="1910.03151",
)
EFFECTIVE_SE = Paper(
    title="CenterMask: Real-Time Anchor-Free Instance Segmentation",
    authors="Youngwan Lee, Jongyoul Park",
    venue="CVPR",
    year=2020,
    arxiv="1911.06667",
)
EFFICIENT = Paper(
    title="Efficient Attention: Attention with Linear Complexities",
    authors="Zhuoran Shen, Mingyuan Zhang, Haiyu Zhao, Shuai Yi, Hongsheng Li",
    venue="WACV",
    year=2021,
    arxiv="1812.01243",
)
EFFICIENT_LOCAL = Paper(
    title="ELA: Efficient Local Attention for Deep Convolutional Neural Networks",
    authors="Wei Xu, Yi Wan",
    venue="arXiv",
    year=2024,
    arxiv="2403.01123",
)
EFFICIENT_MULTI_SCALE = Paper(
    title="Efficient Multi-Scale Attention Module with Cross-Spatial Learning",
    authors="Daliang Ouyang et al.",
    venue="ICASSP",
    year=2023,
    arxiv="2305.13563",
)
EMA_UNIT = Paper(
    title="Expectation-Maximization Attention Networks for Semantic Segmentation",
    authors="Xia Li, Zhisheng Zhong, Jianlong Wu, Yibo Yang, Zhouchen Lin, Hong Liu",
    venue="ICCV",
    year=2019,
    arxiv="1907.13426",
)
EMSA = Paper(
    title="ResT: An Efficient Transformer for Visual Recognition",
    authors="Qinglong Zhang, Yu-Bin Yang",
    venue="NeurIPS",
    year=2021,
    arxiv="2105.13677",
)
EXTERNAL = Paper(
    title=("Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks"),
    authors="Meng-Hao Guo, Zheng-Ning Liu, Tai-Jiang Mu, Shi-Min Hu",
    venue="TPAMI",
    year=2022,
    arxiv="2105.02358",
)
FCA = Paper(
    title="FcaNet: Frequency Channel Attention Networks",
    authors="Zequn Qin, Pengyi Zhang, Fei Wu, Xi Li",
    venue="ICCV",
    year=2021,
    arxiv="2012.11879",
)
FOCAL_MODULATION = Paper(
    title="Focal Modulation Networks",
    authors="Jianwei Yang, Chunyuan Li, Xiyang Dai, Lu Yuan, Jianfeng Gao",
    venue="NeurIPS",
    year=2022,
    arxiv="2203.11926",
)
FOCUSED_LINEAR = Paper(
    title="FLatten Transformer: Vision Transformer using Focused Linear Attention",
    authors="Dongchen Han, Xuran Pan, Yizeng Han, Shiji Song, Gao Huang",
    venue="ICCV",
    year=2023,
    arxiv="2308.00442",
)
GAIN = Paper(
    title="Tell Me Where to Look: Guided Attention Inference Network",
    authors="Kunpeng Li, Ziyan Wu, Kuan-Chuan Peng, Jan Ernst, Yun Fu",
    venue="CVPR",
    year=2018,
    arxiv="1802.10171",
)
GATED_CHANNEL_TRANSFORMATION = Paper(
    title="Gated Channel Transformation for Visual Recognition",
    authors="Zongxin Yang, Linchao Zhu, Yu Wu, Yi Yang",
    venue="CVPR",
    year=2020,
    arxiv="1909.11519",
)
GATHER_EXCITE = Paper(
    title="Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks",
    authors="Jie Hu, Li Shen, Samuel Albanie, Gang Sun, Andrea Vedaldi",
    venue="NeurIPS",
    year=2018,
    arxiv="1810.12348",
)
GAUSSIAN = Paper(
    title="GATCluster: Self-Supervised Gaussian-Attention Network for Image Clustering",
    authors="Chuang Niu, Jun Zhang, Ge Wang, Jimin Liang",
    venue="ECCV",
    year=2020,
    arxiv="2002.11863",
)
GLOBAL_ATTENTION = Paper(
    title=(
        "Global Attention Mechanism: Retain Information to Enhance Channel-Spatial Interactions"
    ),
    authors="Yichao Liu, Zongru Shao, Nico Hoffmann",
    venue="arXiv",
    year=2021,
    arxiv="2112.05561",
)
GLOBAL_CONTEXT = Paper(
    title="GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    authors="Yue Cao, Jiarui Xu, Stephen Lin, Fangyun Wei, Han Hu",
    venue="ICCV Workshops",
    year=2019,
    arxiv="1904.11492",
)
HALO = Paper(
    title="Scaling Local Self-Attention for Parameter Efficient Visual Backbones",
    authors="Ashish Vaswani et al.",
    venue="CVPR",
    year=2021,
    arxiv="2103.12731",
)
HARMONIOUS = Paper(
    title="Harmonious Attention Network for Person Re-Identification",
    authors="Wei Li, Xiatian Zhu, Shaogang Gong",
    venue="CVPR",
    year=2018,
    arxiv="1802.08122",
)
HIGH_ORDER = Paper(
    title="High-Order Attention Networks for Medical Image Segmentation",
    authors="Fei Ding et al.",
    venue="MICCAI",
    year=2020,
    doi="10.1007/978-3-030-59710-8_25",
)
HOGA = Paper(
    title="Auto Learning Attention",
    authors="Benteng Ma, Jing Zhang, Yong Xia, Dacheng Tao",
    venue="NeurIPS",
    year=2020,
)
HOURGLASS = Paper(
    title="Stacked Hourglass Networks for Human Pose Estimation",
    authors="Alejandro Newell, Kaiyu Yang, Jia Deng",
    venue="ECCV",
    year=2016,
    arxiv="1603.06937",
)
INVERSE = Paper(
    title="Robust Data Hiding Using Inverse Gradient Attention",
    authors="Honglei Zhang et al.",
    venue="arXiv",
    year=2020,
    arxiv="2011.10850",
)
KALMAN_FILTERING = Paper(
    title="Kalman Filtering Attention for User Behavior Modeling in CTR Prediction",
    authors="Hu Liu et al.",
    venue="NeurIPS",
    year=2020,
    arxiv="2010.00985",
)
LAMBDA_LAYER = Paper(
    title="LambdaNetworks: Modeling Long-Range Interactions Without Attention",
    authors="Irwan Bello",
    venue="ICLR",
    year=2021,
    arxiv="2102.08602",
)
LARGE_KERNEL = Paper(
    title="Visual Attention Network",
    authors="Meng-Hao Guo, Cheng-Ze Lu, Zheng-Ning Liu, Ming-Ming Cheng, Shi-Min Hu",
    venue="Computational Visual Media",
    year=2023,
    arxiv="2202.09741",
)
LARGE_SELECTIVE_KERNEL = Paper(
    title="Large Selective Kernel Network for Remote Sensing Object Detection",
    authors="Yuxuan Li et al.",
    venue="ICCV",
    year=2023,
    arxiv="2303.09030",
)
LARGE_SEPARABLE_KERNEL = Paper(
    title=("Large Separable Kernel Attention: Rethinking the Large Kernel Attention Design in CNN"),
    authors="Kin Wai Lau, Lai-Man Po, Yasar Abbas Ur Rehman",
    venue="Expert Systems with Applications",
    year=2024,
    arxiv="2309.01439",
)
LINEAR_CONTEXT = Paper(
    title="Linear Context Transform Block",
    authors="Dongsheng Ruan, Jun Wen, Nenggan Zheng, Min Zheng",
    venue="AAAI",
    year=2020,
    arxiv="1909.03834",
)
MAXVIT = Paper(
    title="MaxViT: Multi-Axis Vision Transformer",
    authors="Zhengzhong Tu et al.",
    venue="ECCV",
    year=2022,
    arxiv="2204.01697",
)
MIRROR = Paper(
    title=("Semantic Line Detection Using Mirror Attention and Comparative Ranking and Matching"),
    authors="Dongkwon Jin, Jun-Tae Lee, Chang-Su Kim",
    venue="ECCV",
    year=2020,
    arxiv="2007.08139",
)
MIXED_HIGH_ORDER = Paper(
    title="Mixed High-Order Attention Network for Person Re-Identification",
    authors="Binghui Chen, Weihong Deng, Jiani Hu",
    venue="ICCV",
    year=2019,
    arxiv="1908.05819",
)
MIXED_LOCAL_CHANNEL = Paper(
    title="Mixed local channel attention for object detection",
    authors="Dahang Wan et al.",
    venue="Engineering Applications of Artificial Intelligence",
    year=2023,
    doi="10.1016/j.engappai.2023.106442",
)
MOBILEVIT_V2 = Paper(
    title="Separable Self-attention for Mobile Vision Transformers",
    authors="Sachin Mehta, Mohammad Rastegari",
    venue="TMLR",
    year=2023,
    arxiv="2206.02680",
)
MULTI_CONTEXT = Paper(
    title="Multi-Context Attention for Human Pose Estimation",
    authors="Xiao Chu, Wei Yang, Wanli Ouyang, Cheng Ma, Alan L. Yuille, Xiaogang Wang",
    venue="CVPR",
    year=2017,
    arxiv="1702.07432",
)
MULTI_DIGIT = Paper(
    title=(
        "Multi-digit Number Recognition from Street View Imagery using Deep Convolutional "
        "Neural Networks"
    ),
    authors="Ian J. Goodfellow, Yaroslav Bulatov, Julian Ibarz, Sacha Arnoud, Vinay Shet",
    venue="ICLR",
    year=2014,
    arxiv="1312.6082",
)
MULTI_HEAD = Paper(
    title="Attention Is All You Need",
    authors="Ashish Vaswani et al.",
    venue="NeurIPS",
    year=2017,
    arxiv="1706.03762",
)
MULTIDIMENSIONAL_COLLABORATIVE = Paper(
    title=(
        "MCA: Multidimensional collaborative attention in deep convolutional neural networks for"
        " image recognition"
    ),
    authors="Yang Yu, Yi Zhang, Zeyu Cheng, Zhe Song, Chengkai Tang",
    venue="Engineering Applications of Artificial Intelligence",
    year=2023,
    doi="10.1016/j.engappai.2023.107079",
)
NEIGHBORHOOD = Paper(
    title="Neighborhood Attention Transformer",
    authors="Ali Hassani, Steven Walton, Jiachen Li, Shen Li, Humphrey Shi",
    venue="CVPR",
    year=2023,
    arxiv="2204.07143",
)
NON_LOCAL = Paper(
    title="Non-local Neural Networks",
    authors="Xiaolong Wang, Ross Girshick, Abhinav Gupta, Kaiming He",
    venue="CVPR",
    year=2018,
    arxiv="1711.07971",
)
NON_LOCAL_SPARSE = Paper(
    title="Image Super-Resolution with Non-Local Sparse Attention",
    authors="Yiqun Mei, Yuchen Fan, Yuqian Zhou",
    venue="CVPR",
    year=2021,
    doi="10.1109/CVPR46437.2021.00352",
)
NORMALIZATION_BASED = Paper(
    title="NAM: Normalization-based Attention Module",
    authors="Yichao Liu, Zongru Shao, Yueyang Teng, Nico Hoffmann",
    venue="NeurIPS Workshops",
    year=2021,
    arxiv="2111.12419",
)
OUTLOOK = Paper(
    title="VOLO: Vision Outlooker for Visual Recognition",
    authors="Li Yuan, Qibin Hou, Zihang Jiang, Jiashi Feng, Shuicheng Yan",
    venue="TPAMI",
    year=2022,
    arxiv="2106.13112",
)
PARNET = Paper(
    title="Non-deep Networks",
    authors="Ankit Goyal, Alexey Bochkovskiy, Jia Deng, Vladlen Koltun",
    venue="NeurIPS",
    year=2022,
    arxiv="2110.07641",
)
PERCEIVER = Paper(
    title="Perceiver: General Perception with Iterative Attention",
    authors="Andrew Jaegle et al.",
    venue="ICML",
    year=2021,
    arxiv="2103.03206",
)
PICANET = Paper(
    title="PiCANet: Learning Pixel-wise Contextual Attention for Saliency Detection",
    authors="Nian Liu, Junwei Han, Ming-Hsuan Yang",
    venue="CVPR",
    year=2018,
    arxiv="1708.06433",
)
POLARITY_LINEAR = Paper(
    title="PolaFormer: Polarity-aware Linear Attention for Vision Transformers",
    authors="Weikang Meng et al.",
    venue="ICLR",
    year=2025,
    arxiv="2501.15061",
)
POLARIZED = Paper(
    title="Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
    authors="Huajun Liu, Fuqiang Liu, Xinyi Fan, Dong Huang",
    venue="arXiv",
    year=2021,
    arxiv="2107.00782",
)
PROPHET = Paper(
    title=("Prophet Attention: Predicting Attention with Future Attention for Image Captioning"),
    authors="Fenglin Liu et al.",
    venue="NeurIPS",
    year=2020,
    arxiv="2210.10914",
)
PSA = Paper(
    title=("EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural Network"),
    authors="Hu Zhang, Keke Zu, Jian Lu, Yuru Zou, Deyu Meng",
    venue="ACCV",
    year=2022,
    arxiv="2105.14447",
)
PVT = Paper(
    title=(
        "Pyramid Vision Transformer: A Versatile Backbone for Dense Prediction without Convolutions"
    ),
    authors="Wenhai Wang et al.",
    venue="ICCV",
    year=2021,
    arxiv="2102.12122",
)
PYRAMID_FEATURE = Paper(
    title="Pyramid Feature Attention Network for Saliency Detection",
    authors="Ting Zhao, Xiangqian Wu",
    venue="CVPR",
    year=2019,
    arxiv="1903.00179",
)
RAM = Paper(
    title="Recurrent Models of Visual Attention",
    authors="Volodymyr Mnih, Nicolas Heess, Alex Graves, Koray Kavukcuoglu",
    venue="NIPS",
    year=2014,
    arxiv="1406.6247",
)
RANDOM_FEATURE = Paper(
    title="Random Feature Attention",
    authors="Hao Peng et al.",
    venue="ICLR",
    year=2021,
    arxiv="2103.02143",
)
RECEPTIVE_FIELD = Paper(
    title="RFAConv: Innovating Spatial Attention and Standard Convolutional Operation",
    authors="Xin Zhang et al.",
    venue="arXiv",
    year=2023,
    arxiv="2304.03198",
)
RECIPROCAL = Paper(
    title=("Exploring Reciprocal Attention for Salient Object Detection by Cooperative Learning"),
    authors="Changqun Xia et al.",
    venue="arXiv",
    year=2019,
    arxiv="1909.08269",
)
REGION = Paper(
    title="RANet: Region Attention Network for Semantic Segmentation",
    authors="Dingguo Shen, Yuanfeng Ji, Ping Li, Yi Wang, Di Lin",
    venue="NeurIPS",
    year=2020,
)
REINFORCED_TEMPORAL = Paper(
    title=(
        "Reinforced Temporal Attention and Split-Rate Transfer for Depth-Based Person "
        "Re-Identification"
    ),
    authors="Nikolaos Karianakis, Zicheng Liu, Yinpeng Chen, Stefano Soatto",
    venue="ECCV",
    year=2018,
    arxiv="1705.09882",
)
REPULSIVE = Paper(
    title="Repulsive Attention: Rethinking Multi-head Attention as Bayesian Inference",
    authors="Bang An et al.",
    venue="EMNLP",
    year=2020,
    arxiv="2009.09364",
)
RESAN = Paper(
    title=(
        "Reinforced Self-Attention Network: a Hybrid of Hard and Soft Attention for Sequence "
        "Modeling"
    ),
    authors="Tao Shen et al.",
    venue="IJCAI",
    year=2018,
    arxiv="1801.10296",
)
RESIDUAL_ATTENTION = Paper(
    title="Residual Attention Network for Image Classification",
    authors="Fei Wang et al.",
    venue="CVPR",
    year=2017,
    arxiv="1704.06904",
)
REVERSE_SALIENCY = Paper(
    title="Reverse Attention for Salient Object Detection",
    authors="Shuhan Chen, Xiuli Tan, Ben Wang, Xuelong Hu",
    venue="ECCV",
    year=2018,
    arxiv="1807.09940",
)
REVERSE_SEGMENTATION = Paper(
    title="Semantic Segmentation with Reverse Attention",
    authors="Qin Huang et al.",
    venue="BMVC",
    year=2017,
    arxiv="1707.06426",
)
RMT = Paper(
    title="RMT: Retentive Networks Meet Vision Transformers",
    authors="Qihang Fan et al.",
    venue="CVPR",
    year=2024,
    arxiv="2309.11523",
)
S2_MLP = Paper(
    title="S2-MLPv2: Improved Spatial-Shift MLP Architecture for Vision",
    authors="Tan Yu, Xu Li, Yunfeng Cai, Mingming Sun, Ping Li",
    venue="arXiv",
    year=2021,
    arxiv="2108.01072",
)
S3TA = Paper(
    title="Towards Robust Image Classification Using Sequential Attention Models",
    authors="Daniel Zoran et al.",
    venue="CVPR",
    year=2020,
    arxiv="1912.02184",
)
SE = Paper(
    title="Squeeze-and-Excitation Networks",
    authors="Jie Hu, Li Shen, Gang Sun",
    venue="CVPR",
    year=2018,
    arxiv="1709.01507",
)
SECOND_ORDER = Paper(
    title="Second-order Attention Network for Single Image Super-Resolution",
    authors="Tao Dai, Jianrui Cai, Yongbing Zhang, Shu-Tao Xia, Lei Zhang",
    venue="CVPR",
    year=2019,
)
SELECTIVE_KERNEL = Paper(
    title="Selective Kernel Networks",
    authors="Xiang Li, Wenhai Wang, Xiaolin Hu, Jian Yang",
    venue="CVPR",
    year=2019,
    arxiv="1903.06586",
)
SELF_CRITIC = Paper(
    title="Self-Critical Attention Learning for Person Re-Identification",
    authors="Guangyi Chen, Chunze Lin, Liangliang Ren, Jiwen Lu, Jie Zhou",
    venue="ICCV",
    year=2019,
    doi="10.1109/ICCV.2019.00973",
)
SELF_MUTUAL = Paper(
    title="Learning Selective Self-Mutual Attention for RGB-D Saliency Detection",
    authors="Nian Liu, Ni Zhang, Junwei Han",
    venue="CVPR",
    year=2020,
)
SET_TRANSFORMER = Paper(
    title=(
        "Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks"
    ),
    authors="Juho Lee et al.",
    venue="ICML",
    year=2019,
    arxiv="1810.00825",
)
SGE = Paper(
    title=(
        "Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional Networks"
    ),
    authors="Xiang Li, Xiaolin Hu, Jian Yang",
    venue="arXiv",
    year=2019,
    arxiv="1905.09646",
)
SHOW_ATTEND_TELL = Paper(
    title="Show, Attend and Tell: Neural Image Caption Generation with Visual Attention",
    authors="Kelvin Xu et al.",
    venue="ICML",
    year=2015,
    arxiv="1502.03044",
)
SHUFFLE_ATTENTION = Paper(
    title="SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
    authors="Qing-Long Zhang, Yu-Bin Yang",
    venue="ICASSP",
    year=2021,
    arxiv="2102.00240",
)
SHVIT = Paper(
    title="SHViT: Single-Head Vision Transformer with Memory Efficient Macro Design",
    authors="Seokju Yun, Youngmin Ro",
    venue="CVPR",
    year=2024,
    arxiv="2401.16456",
)
SIMAM = Paper(
    title=("SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks"),
    authors="Lingxiao Yang, Ru-Yuan Zhang, Lida Li, Xiaohua Xie",
    venue="ICML (PMLR 139)",
    year=2021,
)
SLOT = Paper(
    title="Object-Centric Learning with Slot Attention",
    authors="Francesco Locatello et al.",
    venue="NeurIPS",
    year=2020,
    arxiv="2006.15055",
)
SMYRF = Paper(
    title="SMYRF: Efficient Attention using Asymmetric Clustering",
    authors="Giannis Daras, Augustus Odena, Nikita Kitaev, Alexandros G. Dimakis",
    venue="NeurIPS",
    year=2020,
    arxiv="2010.05315",
)
SPAN = Paper(
    title="SPAN: Spatial Pyramid Attention Network for Image Manipulation Localization",
    authors="Xuefeng Hu et al.",
    venue="ECCV",
    year=2020,
    arxiv="2009.00726",
)
SPATIAL_ATTENTION_PYRAMID = Paper(
    title="Spatial Attention Pyramid Network for Unsupervised Domain Adaptation",
    authors=("Congcong Li, Dawei Du, Libo Zhang, Longyin Wen, Tiejian Luo, Yanjun Wu, Pengfei Zhu"),
    venue="ECCV",
    year=2020,
    arxiv="2003.12979",
)
SPATIAL_CHANNEL_SYNERGISTIC = Paper(
    title=("SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention"),
    authors="Yunzhong Si et al.",
    venue="Neurocomputing",
    year=2025,
    arxiv="2407.05128",
)
SPATIAL_SPECTRAL = Paper(
    title=("End-to-End Low Cost Compressive Spectral Imaging with Spatial-Spectral Self-Attention"),
    authors="Ziyi Meng, Jiawei Ma, Xin Yuan",
    venue="ECCV",
    year=2020,
)
SPATIAL_TRANSFORMER = Paper(
    title="Spatial Transformer Networks",
    authors="Max Jaderberg, Karen Simonyan, Andrew Zisserman, Koray Kavukcuoglu",
    venue="NeurIPS",
    year=2015,
    arxiv="1506.02025",
)
SPLIT_ATTENTION = Paper(
    title="ResNeSt: Split-Attention Networks",
    authors="Hang Zhang et al.",
    venue="CVPR Workshops",
    year=2022,
    arxiv="2004.08955",
)
STACKED_CROSS = Paper(
    title="Stacked Cross Attention for Image-Text Matching",
    authors="Kuang-Huei Lee, Xi Chen, Gang Hua, Houdong Hu, Xiaodong He",
    venue="ECCV",
    year=2018,
    arxiv="1803.08024",
)
STAND_ALONE = Paper(
    title="Stand-Alone Self-Attention in Vision Models",
    authors="Prajit Ramachandran et al.",
    venue="NeurIPS",
    year=2019,
    arxiv="1906.05909",
)
STRIP_POOLING = Paper(
    title="Strip Pooling: Rethinking Spatial Pooling for Scene Parsing",
    authors="Qibin Hou, Li Zhang, Ming-Ming Cheng, Jiashi Feng",
    venue="CVPR",
    year=2020,
    arxiv="2003.13328",
)
STYLE_RECALIBRATION = Paper(
    title="SRM: A Style-based Recalibration Module for Convolutional Neural Networks",
    authors="HyunJae Lee, Hyo-Eun Kim, Hyeonseob Nam",
    venue="ICCV",
    year=2019,
    arxiv="1903.10829",
)
SUPERVISED_ATTENTION = Paper(
    title="Curriculum Enhanced Supervised Attention Network for Person Re-Identification",
    authors="Xiaoguang Zhu, Jiuchao Qian, Haoyu Wang, Peilin Liu",
    venue="IEEE Signal Processing Letters",
    year=2020,
    doi="10.1109/LSP.2020.3024794",
)
TALKING_HEADS = Paper(
    title="Talking-Heads Attention",
    authors="Noam Shazeer, Zhenzhong Lan, Youlong Cheng, Nan Ding, Le Hou",
    year=2020,
    arxiv="2003.02436",
)
TRANSNEXT = Paper(
    title="TransNeXt: Robust Foveal Visual Perception for Vision Transformers",
    authors="Dai Shi",
    venue="CVPR",
    year=2024,
    arxiv="2311.17132",
)
TRIPLET = Paper(
    title="Rotate to Attend: Convolutional Triplet Attention Module",
    authors="Diganta Misra, Trikay Nalamada, Ajay Uppili Arasanipalai, Qibin Hou",
    venue="WACV",
    year=2021,
    arxiv="2010.03045",
)
TWO_LEVEL = Paper(
    title=(
        "The Application of Two-level Attention Models in Deep Convolutional Neural Network for"
        " Fine-grained Image Classification"
    ),
    authors="Tianjun Xiao et al.",
    venue="CVPR",
    year=2015,
    arxiv="1411.6447",
)
UFO_VIT = Paper(
    title="UFO-ViT: High Performance Linear Vision Transformer without Softmax",
    authors="Jeong-geun Song",
    venue="arXiv",
    year=2021,
    arxiv="2109.14382",
)
UNCERTAINTY_AWARE = Paper(
    title="Uncertainty-Aware Attention for Reliable Interpretation and Prediction",
    authors="Jay Heo et al.",
    venue="NeurIPS",
    year=2018,
    arxiv="1805.09653",
)
VARIATIONAL = Paper(
    title="Latent Alignment and Variational Attention",
    authors="Yuntian Deng, Yoon Kim, Justin Chiu, Demi Guo, Alexander Rush",
    venue="NeurIPS",
    year=2018,
    arxiv="1807.03756",
)
VARIATIONAL_GAUSSIAN = Paper(
    title="Variational Attention for Sequence-to-Sequence Models",
    authors="Hareesh Bahuleyan, Lili Mou, Olga Vechtomova, Pascal Poupart",
    venue="COLING",
    year=2018,
    arxiv="1712.08207",
)
WINDOW = Paper(
    title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    authors="Ze Liu et al.",
    venue="ICCV",
    year=2021,
    arxiv="2103.14030",
)
XCIT = Paper(
    title="XCiT: Cross-Covariance Image Transformers",
    authors="Alaaeldin El-Nouby et al.",
    venue="NeurIPS",
    year=2021,
    arxiv="2106.09681",
)
XSLOT = Paper(
    title="SCOUTER: Slot Attention-based Classifier for Explainable Image Recognition",
    authors="Liangzhi Li et al.",
    venue="ICCV",
    year=2021,
    arxiv="2009.06138",
)
X_LINEAR = Paper(
    title="X-Linear Attention Networks for Image Captioning",
    authors="Yingwei Pan, Ting Yao, Yehao Li, Tao Mei",
    venue="CVPR",
    year=2020,
    arxiv="2003.14080",
)
