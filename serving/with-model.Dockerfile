# The service's image with a model in it, for places that reach no registry; its context holds models/ and public.pem:
#   make image MODEL_INSIDE=.state/serving
ARG SERVICE=flightline-service:latest
# hadolint ignore=DL3006 # the tag is in the argument
FROM ${SERVICE}
COPY models/ /srv/flightline/model/
# What was verified with it before it was baked is verified again at each start.
COPY public.pem /srv/flightline/signing/public.pem
ENV FLIGHTLINE_SERVING__MODELS_DIR=/srv/flightline/model \
    FLIGHTLINE_SIGNING__PUBLIC_KEY=/srv/flightline/signing/public.pem
