"""Studies of architecture and scale: which pretraining makes the better property predictor.

A study (`study_data`) pretrains models of several architectures, sizes and amounts of data, then
fine-tunes each on several tasks, several times. The report tells what the numbers can tell: total
error scores (`total_error_score`), whether chance explains them (`significance`), what a lower loss
says about the metric (`loss_and_metric`), and what grows with scale (`scaling`), in numbers, in
words (`summary`) and in pictures.
"""
