"""Face-vid2vid: One-Shot Free-View Neural Talking-Head Synthesis for Video Conferencing (Wang et al., CVPR 2021)."""
