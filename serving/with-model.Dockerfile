# The service's image with one model in it, for places that reach no registry; its context is the folder of the model:
#   make image MODEL_INSIDE=.state/serving
ARG SERVICE=flightline-service:latest
# hadolint ignore=DL3006 # the tag is in the argument
FROM ${SERVICE}
COPY . /srv/flightline/model/
ENV FLIGHTLINE_SERVING__MODELS_DIR=/srv/flightline/model
