/* Every error code of the operations in ops.c (the service models' lists), the
 * codes common to all services (CommonErrors.html of each API reference), and
 * those that only throttling and signing give.
 *
 * BUSY only where AWS surely did nothing: a write is sent again on it. */
#include "aws/core.h"

#include <string.h>

#define EXP AWS_CODE_EXPIRED
#define SKEW AWS_CODE_SKEW

static const struct aws_code codes[] = {
	/* throttled */
	{ "BandwidthLimitExceeded", ERR_BUSY, 0 },
	{ "EC2ThrottledException", ERR_BUSY, 0 },
	{ "PriorRequestNotComplete", ERR_BUSY, 0 },
	{ "ProvisionedThroughputExceededException", ERR_BUSY, 0 },
	{ "RequestLimitExceeded", ERR_BUSY, 0 },
	{ "RequestThrottled", ERR_BUSY, 0 },
	{ "RequestThrottledException", ERR_BUSY, 0 },
	{ "SlowDown", ERR_BUSY, 0 },
	{ "ThrottledException", ERR_BUSY, 0 },
	{ "Throttling", ERR_BUSY, 0 },
	{ "ThrottlingException", ERR_BUSY, 0 },
	{ "TooManyRequests", ERR_BUSY, 0 },
	{ "TooManyRequestsException", ERR_BUSY, 0 },

	/* who we are: credentials, signature, clock */
	{ "AccessDenied", ERR_DENIED, 0 },
	{ "AccessDeniedException", ERR_DENIED, 0 },
	{ "AuthFailure", ERR_DENIED, 0 },
	{ "AuthorizationError", ERR_DENIED, 0 },
	{ "ExpiredToken", ERR_DENIED, EXP },
	{ "ExpiredTokenException", ERR_DENIED, EXP },
	{ "Forbidden", ERR_DENIED, 0 },
	{ "IncompleteSignature", ERR_DENIED, 0 },
	{ "IncompleteSignatureException", ERR_DENIED, 0 },
	{ "InvalidAccessKeyId", ERR_DENIED, 0 },
	{ "InvalidClientTokenId", ERR_DENIED, 0 },
	{ "InvalidSecurity", ERR_DENIED, 0 },
	{ "InvalidSignatureException", ERR_DENIED, SKEW },
	{ "InvalidToken", ERR_DENIED, 0 },
	{ "MissingAuthenticationToken", ERR_DENIED, 0 },
	{ "MissingAuthenticationTokenException", ERR_DENIED, 0 },
	{ "NotAuthorized", ERR_DENIED, 0 },
	{ "OptInRequired", ERR_DENIED, 0 },
	{ "RegionDisabledException", ERR_DENIED, 0 },
	{ "RequestExpired", ERR_DENIED, SKEW },
	{ "RequestInTheFuture", ERR_DENIED, SKEW },
	{ "RequestTimeTooSkewed", ERR_DENIED, SKEW },
	{ "SignatureDoesNotMatch", ERR_DENIED, SKEW },
	{ "TokenRefreshRequired", ERR_DENIED, EXP },
	{ "UnauthorizedAccess", ERR_DENIED, 0 },
	{ "UnauthorizedOperation", ERR_DENIED, 0 },
	{ "UnrecognizedClientException", ERR_DENIED, 0 },

	/* AWS failed: it may have done it before it failed to say so */
	{ "HealthUnavailable", ERR_UNSURE, 0 },
	{ "InternalError", ERR_UNSURE, 0 },
	{ "InternalFailure", ERR_UNSURE, 0 },
	{ "InternalServerError", ERR_UNSURE, 0 },
	{ "InternalServerException", ERR_UNSURE, 0 },
	{ "InternalServiceError", ERR_UNSURE, 0 },
	{ "InternalServiceFault", ERR_UNSURE, 0 },
	{ "RequestTimeout", ERR_UNSURE, 0 },
	{ "RequestTimeoutException", ERR_UNSURE, 0 },
	{ "ServerException", ERR_UNSURE, 0 },
	{ "ServiceException", ERR_UNSURE, 0 },
	{ "ServiceUnavailable", ERR_UNSURE, 0 },
	{ "ServiceUnavailableException", ERR_UNSURE, 0 },
	{ "Unavailable", ERR_UNSURE, 0 },

	/* the request is wrong, for any service */
	{ "InvalidAction", ERR_INPUT, 0 },
	{ "InvalidParameter", ERR_INPUT, 0 },
	{ "InvalidParameterCombination", ERR_INPUT, 0 },
	{ "InvalidParameterException", ERR_INPUT, 0 },
	{ "InvalidParameterValue", ERR_INPUT, 0 },
	{ "InvalidParameterValueException", ERR_INPUT, 0 },
	{ "InvalidQueryParameter", ERR_INPUT, 0 },
	{ "MalformedHttpRequestException", ERR_INPUT, 0 },
	{ "MalformedQueryString", ERR_INPUT, 0 },
	{ "MissingAction", ERR_INPUT, 0 },
	{ "MissingParameter", ERR_INPUT, 0 },
	{ "MissingRequiredParameterException", ERR_INPUT, 0 },
	{ "RequestAbortedException", ERR_UNSURE, 0 },
	{ "RequestEntityTooLargeException", ERR_INPUT, 0 },
	{ "SerializationException", ERR_INPUT, 0 },
	{ "UnknownOperationException", ERR_INPUT, 0 },
	{ "ValidationError", ERR_INPUT, 0 },
	{ "ValidationException", ERR_INPUT, 0 },

	/* Elastic Load Balancing v2 */
	{ "IncompatibleProtocols", ERR_INPUT, 0 },
	{ "InvalidConfigurationRequest", ERR_INPUT, 0 },
	{ "InvalidLoadBalancerAction", ERR_INPUT, 0 },
	{ "InvalidTarget", ERR_GONE, 0 },
	{ "ListenerNotFound", ERR_GONE, 0 },
	{ "LoadBalancerNotFound", ERR_GONE, 0 },
	{ "OperationNotPermitted", ERR_INPUT, 0 },
	{ "PriorityInUse", ERR_INPUT, 0 },
	{ "RuleNotFound", ERR_GONE, 0 },
	{ "TargetGroupAssociationLimit", ERR_INPUT, 0 },
	{ "TargetGroupNotFound", ERR_GONE, 0 },
	{ "TooManyActions", ERR_INPUT, 0 },
	{ "TooManyRegistrationsForTargetId", ERR_INPUT, 0 },
	{ "TooManyRules", ERR_INPUT, 0 },
	{ "TooManyTags", ERR_INPUT, 0 },
	{ "TooManyTargetGroups", ERR_INPUT, 0 },
	{ "TooManyTargets", ERR_INPUT, 0 },
	{ "TooManyUniqueTargetGroupsPerLoadBalancer", ERR_INPUT, 0 },
	{ "TrustStoreNotFound", ERR_GONE, 0 },
	{ "UnsupportedProtocol", ERR_INPUT, 0 },

	/* CloudFormation */
	{ "AlreadyExistsException", ERR_INPUT, 0 },
	{ "ChangeSetNotFound", ERR_GONE, 0 },
	{ "InsufficientCapabilitiesException", ERR_INPUT, 0 },
	{ "InvalidChangeSetStatus", ERR_INPUT, 0 },
	{ "LimitExceededException", ERR_INPUT, 0 },
	{ "StackSetNotFoundException", ERR_GONE, 0 },
	{ "TokenAlreadyExistsException", ERR_INPUT, 0 },

	/* CloudWatch */
	{ "InvalidNextToken", ERR_INPUT, 0 },

	/* ECS */
	{ "BlockedException", ERR_DENIED, 0 },
	{ "ClientException", ERR_INPUT, 0 },
	{ "ClusterNotFoundException", ERR_GONE, 0 },
	{ "NamespaceNotFoundException", ERR_GONE, 0 },
	{ "PlatformTaskDefinitionIncompatibilityException", ERR_INPUT, 0 },
	{ "PlatformUnknownException", ERR_INPUT, 0 },
	{ "ServiceNotActiveException", ERR_GONE, 0 },
	{ "ServiceNotFoundException", ERR_GONE, 0 },
	{ "UnsupportedFeatureException", ERR_INPUT, 0 },

	/* EventBridge Scheduler. ConflictException is what Create says when it
	 * exists, and what Update says when another request is under way. */
	{ "ConflictException", ERR_INPUT, 0 },
	{ "ResourceNotFoundException", ERR_GONE, 0 },
	{ "ServiceQuotaExceededException", ERR_INPUT, 0 },

	/* Secrets Manager. InvalidRequest is what a secret marked for deletion gives. */
	{ "DecryptionFailure", ERR_DENIED, 0 },
	{ "InvalidRequestException", ERR_INPUT, 0 },

	/* RDS. A database in the wrong state is asked again: it is busy with something. */
	{ "AuthorizationNotFound", ERR_GONE, 0 },
	{ "BackupPolicyNotFoundFault", ERR_GONE, 0 },
	{ "BlueGreenDeploymentAlreadyExistsFault", ERR_INPUT, 0 },
	{ "BlueGreenDeploymentNotFoundFault", ERR_GONE, 0 },
	{ "CertificateNotFound", ERR_GONE, 0 },
	{ "DBClusterAlreadyExistsFault", ERR_INPUT, 0 },
	{ "DBClusterAutomatedBackupNotFoundFault", ERR_GONE, 0 },
	{ "DBClusterNotFoundFault", ERR_GONE, 0 },
	{ "DBClusterParameterGroupNotFound", ERR_GONE, 0 },
	{ "DBClusterQuotaExceededFault", ERR_INPUT, 0 },
	{ "DBClusterSnapshotNotFoundFault", ERR_GONE, 0 },
	{ "DBInstanceAlreadyExists", ERR_INPUT, 0 },
	{ "DBInstanceNotFound", ERR_GONE, 0 },
	{ "DBParameterGroupNotFound", ERR_GONE, 0 },
	{ "DBSecurityGroupNotFound", ERR_GONE, 0 },
	{ "DBSubnetGroupDoesNotCoverEnoughAZs", ERR_INPUT, 0 },
	{ "DBSubnetGroupNotFoundFault", ERR_GONE, 0 },
	{ "DomainNotFoundFault", ERR_GONE, 0 },
	{ "InstanceQuotaExceeded", ERR_INPUT, 0 },
	{ "InsufficientDBClusterCapacityFault", ERR_BUSY, 0 },
	{ "InsufficientDBInstanceCapacity", ERR_BUSY, 0 },
	{ "InsufficientStorageClusterCapacity", ERR_BUSY, 0 },
	{ "InvalidDBClusterSnapshotStateFault", ERR_BUSY, 0 },
	{ "InvalidDBClusterStateFault", ERR_BUSY, 0 },
	{ "InvalidDBInstanceState", ERR_BUSY, 0 },
	{ "InvalidDBSnapshotState", ERR_BUSY, 0 },
	{ "InvalidRestoreFault", ERR_INPUT, 0 },
	{ "InvalidSubnet", ERR_INPUT, 0 },
	{ "InvalidVPCNetworkStateFault", ERR_INPUT, 0 },
	{ "KMSKeyNotAccessibleFault", ERR_DENIED, 0 },
	{ "NetworkTypeNotSupported", ERR_INPUT, 0 },
	{ "OptionGroupNotFoundFault", ERR_GONE, 0 },
	{ "ProvisionedIopsNotAvailableInAZFault", ERR_INPUT, 0 },
	{ "SourceClusterNotSupportedFault", ERR_INPUT, 0 },
	{ "SourceDatabaseNotSupportedFault", ERR_INPUT, 0 },
	{ "StorageQuotaExceeded", ERR_INPUT, 0 },
	{ "StorageTypeNotSupported", ERR_INPUT, 0 },
	{ "TenantDatabaseQuotaExceeded", ERR_INPUT, 0 },
	{ "VpcEncryptionControlViolationException", ERR_INPUT, 0 },

	/* STS */
	{ "IDPCommunicationError", ERR_BUSY, 0 },
	{ "IDPRejectedClaim", ERR_DENIED, 0 },
	{ "InvalidIdentityToken", ERR_DENIED, 0 },
	{ "MalformedPolicyDocument", ERR_INPUT, 0 },
	{ "PackedPolicyTooLarge", ERR_INPUT, 0 },
};

const struct aws_code *aws_codes(size_t *n)
{
	*n = COUNT(codes);
	return codes;
}

const struct aws_code *aws_code_find(const char *code)
{
	for (size_t i = 0; i < COUNT(codes); i++)
		if (!strcmp(codes[i].code, code))
			return &codes[i];
	return NULL;
}
