# Read by the builds: how to reach the package index, if it is not the usual one. Both secrets are there
# while a RUN lasts and are in no layer. tools/images/build.py makes them; by hand: docker build --secret id=index,src=FILE
if [ -f /run/secrets/index ]; then . /run/secrets/index; fi
if [ -f /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi
