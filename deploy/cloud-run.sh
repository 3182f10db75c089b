#!/bin/sh
# Deploy a server to Google Cloud Run, over a PostgreSQL that is elsewhere. docs/deploy/cloud-run.md says what it does.
#
#     MCP_STORAGE_URL=postgresql://… deploy/cloud-run.sh SERVICE REGION [--dry-run]
#
# --dry-run prints the commands and runs nothing; it needs no gcloud. Variables:
#     MCP_STORAGE_URL       the database; kept as a secret, needed at the first deployment
#     MCP_PUBLIC_URL        a domain of yours; by default the URL that Cloud Run gives the service
#     GOOGLE_CLOUD_PROJECT  the project; by default that of gcloud's configuration
#     SOURCE                the folder with your Dockerfile (default: this one), or
#     IMAGE                 an image that was built already
set -eu

usage="usage: MCP_STORAGE_URL=postgresql://… deploy/cloud-run.sh SERVICE REGION [--dry-run]"

refuse() {
    code=$1
    shift
    printf 'cloud-run.sh: %s\n' "$@" >&2
    exit "$code"
}

dry=no
service=
region=
for argument in "$@"; do
    case $argument in
        --dry-run) dry=yes ;;
        -*) refuse 2 "there is no option $argument." "$usage" ;;
        *)
            if [ -z "$service" ]; then
                service=$argument
            elif [ -z "$region" ]; then
                region=$argument
            else
                refuse 2 "one service and one region are taken." "$usage"
            fi
            ;;
    esac
done
[ -n "$region" ] || refuse 2 "the service and the region have to be named." "$usage"

# A service account of the same name is made, and these are its rules.
case $service in
    [!a-z]* | *[!a-z0-9-]* | *-) valid=no ;;
    *) valid=yes ;;
esac
if [ "$valid" = no ] || [ "${#service}" -lt 6 ] || [ "${#service}" -gt 30 ]; then
    refuse 2 "SERVICE takes 6 to 30 small letters, digits and hyphens, the first a letter and the last no hyphen."
fi
case $region in
    *[!a-z0-9-]* | -*) refuse 2 "REGION takes a region of Cloud Run, such as europe-west1." ;;
esac

case ${MCP_STORAGE_URL-} in
    "" | postgresql://* | postgres://*) ;;
    sqlite:* | memory:*)
        refuse 1 "MCP_STORAGE_URL names a store that would be lost: the disk of Cloud Run is memory, gone with each instance, and" \
            "instances do not share it. Every app and every login would be forgotten. Name a PostgreSQL, such as" \
            "MCP_STORAGE_URL='postgresql://gatepost:PASSWORD@HOST/gatepost?sslmode=verify-full' (docs/postgresql.md)."
        ;;
    *) refuse 2 "MCP_STORAGE_URL takes a URL that begins with postgresql://." ;;
esac
case ${MCP_PUBLIC_URL:-https://} in
    *[,\ ]*) refuse 2 "MCP_PUBLIC_URL takes an https URL without commas and blanks." ;;
    https://*) ;;
    *) refuse 2 "MCP_PUBLIC_URL takes an https URL." ;;
esac
if [ "$dry" = no ] && ! command -v gcloud >/dev/null; then
    refuse 1 "gcloud is not installed; --dry-run prints what would be run."
fi

# Print a command as a shell takes it.
show() {
    line=
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_.,:/=@-]* | "") word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'" ;;
        esac
        line="$line${line:+ }$word"
    done
    printf '%s\n' "$line"
}

run() {
    show "$@"
    [ "$dry" = yes ] || "$@"
}

# Whether something is there already. A dry run takes a project in which there is nothing.
exists() {
    [ "$dry" = no ] && "$@" >/dev/null 2>&1
}

# keep SECRET FROM: make a secret with what is on standard input; FROM says in a dry run where that comes from.
keep() {
    printf '%s | ' "$2"
    show gcloud secrets create "$1" --project="$project" --replication-policy=automatic --data-file=-
    if [ "$dry" = yes ]; then
        cat >/dev/null
    else
        gcloud secrets create "$1" --project="$project" --replication-policy=automatic --data-file=-
    fi
}

# 1. The project.
project=${GOOGLE_CLOUD_PROJECT-}
if [ -z "$project" ]; then
    if [ "$dry" = yes ]; then
        project=PROJECT
    else
        project=$(gcloud config get-value project 2>/dev/null)
        [ -n "$project" ] || refuse 1 "no project is set: gcloud config set project NAME, or GOOGLE_CLOUD_PROJECT=NAME."
    fi
fi
run gcloud services enable run.googleapis.com secretmanager.googleapis.com cloudbuild.googleapis.com \
    artifactregistry.googleapis.com --project="$project"

# 2. The public URL, which follows from names and is known before there is a service.
if [ -n "${MCP_PUBLIC_URL-}" ]; then
    url=$MCP_PUBLIC_URL
else
    show gcloud projects describe "$project" "--format=value(projectNumber)"
    if [ "$dry" = yes ]; then
        number=PROJECT_NUMBER
    else
        number=$(gcloud projects describe "$project" "--format=value(projectNumber)")
        [ -n "$number" ] || refuse 1 "the number of the project $project cannot be had."
    fi
    url=https://$service-$number.$region.run.app
fi

# 3. Who the service is, and its secrets. None of them is printed, or stands in a command line.
account=$service@$project.iam.gserviceaccount.com
if ! exists gcloud iam service-accounts describe "$account" --project="$project"; then
    run gcloud iam service-accounts create "$service" --project="$project"
fi
if ! exists gcloud secrets describe "$service-sealing-keys" --project="$project"; then
    # 32 random bytes as 64 hexadecimal digits.
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' |
        keep "$service-sealing-keys" "od -An -N32 -tx1 /dev/urandom | tr -d ' \\n'"
fi
if ! exists gcloud secrets describe "$service-storage-url" --project="$project"; then
    if [ -z "${MCP_STORAGE_URL-}" ]; then
        missing="MCP_STORAGE_URL is not set, and no secret $service-storage-url is there:"
        [ "$dry" = yes ] || refuse 1 "$missing the disk of Cloud Run is memory, so the store has" \
            "to be a PostgreSQL, such as" \
            "MCP_STORAGE_URL='postgresql://gatepost:PASSWORD@HOST/gatepost?sslmode=verify-full' (docs/postgresql.md)."
        echo "# $missing a deployment would stop here."
    fi
    # shellcheck disable=SC2016 # the variable is shown by its name
    printf '%s' "${MCP_STORAGE_URL-}" | keep "$service-storage-url" 'printf %s "$MCP_STORAGE_URL"'
elif [ -n "${MCP_STORAGE_URL-}" ]; then
    echo "# There is a secret $service-storage-url, which counts: MCP_STORAGE_URL is not looked at."
fi
for secret in "$service-sealing-keys" "$service-storage-url"; do
    run gcloud secrets add-iam-policy-binding "$secret" --project="$project" \
        --member="serviceAccount:$account" --role=roles/secretmanager.secretAccessor
done

# 4. The service. Its lock is Gatepost's: Cloud Run lets everybody through to it.
if [ -n "${IMAGE-}" ]; then
    from=--image=$IMAGE
else
    from=--source=${SOURCE:-.}
fi
# timeout: a stream lives as long. no-cpu-throttling: events are delivered, and the store is purged, between requests.
# trusted proxies: requests come from a link-local address of the platform.
run gcloud run deploy "$service" --project="$project" --region="$region" "$from" \
    --service-account="$account" --allow-unauthenticated --execution-environment=gen2 \
    --cpu=1 --memory=512Mi --no-cpu-throttling --min-instances=1 --max-instances=4 --concurrency=200 --timeout=3600 \
    --set-env-vars="MCP_PUBLIC_URL=$url,MCP_TRUSTED_PROXIES=169.254.0.0/16,MCP_SHUTDOWN_SECONDS=6" \
    --set-secrets="MCP_SEALING_KEYS=$service-sealing-keys:latest,MCP_STORAGE_URL=$service-storage-url:latest" \
    --startup-probe=httpGet.path=/health,periodSeconds=2,timeoutSeconds=2,failureThreshold=45 \
    --liveness-probe=httpGet.path=/health,periodSeconds=30,timeoutSeconds=5,failureThreshold=4

# 5. What is next.
printf '\n# The MCP URL is %s/mcp. Create the owner'\''s account at the link in the log:\n' "$url"
show gcloud run services logs read "$service" --project="$project" --region="$region"
