"""What is not public API of Spark, Keras, TensorFlow and Delta: used here and nowhere else.

An upgrade of one of them starts here: each function says what it relies on.
"""
