BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'fake');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["eval_loss"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'ready','true');
CREATE TABLE sweep_costs (
	study VARCHAR(200) NOT NULL, 
	trial INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	what VARCHAR(20) NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	seconds FLOAT NOT NULL, 
	flops FLOAT NOT NULL, 
	PRIMARY KEY (study, trial, attempt, what)
);
INSERT INTO "sweep_costs" VALUES('fake',-1,0,'eval',1000,0.1,2000000.0);
INSERT INTO "sweep_costs" VALUES('fake',0,1,'early_eval',500,0.01,1000000.0);
INSERT INTO "sweep_costs" VALUES('fake',0,1,'train',3200,4.00000000000000188737e-01,19200000.0);
INSERT INTO "sweep_costs" VALUES('fake',0,1,'eval',1000,0.02,2000000.0);
INSERT INTO "sweep_costs" VALUES('fake',1,1,'early_eval',500,0.01,1000000.0);
INSERT INTO "sweep_costs" VALUES('fake',1,1,'train',3200,4.00000000000000188737e-01,19200000.0);
INSERT INTO "sweep_costs" VALUES('fake',1,1,'eval',1000,0.02,2000000.0);
INSERT INTO "sweep_costs" VALUES('fake',2,1,'early_eval',500,0.01,1000000.0);
INSERT INTO "sweep_costs" VALUES('fake',2,1,'train',3200,4.00000000000000188737e-01,19200000.0);
INSERT INTO "sweep_costs" VALUES('fake',2,1,'eval',1000,0.02,2000000.0);
INSERT INTO "sweep_costs" VALUES('fake',3,1,'early_eval',500,0.01,1000000.0);
INSERT INTO "sweep_costs" VALUES('fake',3,1,'train',3200,4.00000000000000188737e-01,19200000.0);
INSERT INTO "sweep_costs" VALUES('fake',3,1,'eval',1000,0.02,2000000.0);
CREATE TABLE sweep_decisions (
	study VARCHAR(200) NOT NULL, 
	trial INTEGER NOT NULL, 
	moment VARCHAR(20) NOT NULL, 
	step INTEGER NOT NULL, 
	at_s FLOAT NOT NULL, 
	action VARCHAR(20) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	probability FLOAT, 
	reason TEXT NOT NULL, 
	evidence TEXT NOT NULL, 
	predictor VARCHAR(80) NOT NULL, 
	settings TEXT NOT NULL, 
	PRIMARY KEY (study, trial, moment)
);
INSERT INTO "sweep_decisions" VALUES('fake',0,'window',4,1.79575373951906585691e+09,'continue','none',NULL,'no finished trial yet: there is only a prior, which prunes none','{}','learned-6','{"enabled": true, "guards": true, "startup": 3, "audit": 0.0, "seed": 0, "risk": 0.1, "min_gain": 0.05, "max_expected_misses": 1.0, "prior_strength": 1.0}');
INSERT INTO "sweep_decisions" VALUES('fake',1,'window',4,1.79575374101797294616e+09,'continue','none',NULL,'waiting for finished trials: 1 of the 3 needed before any is pruned by rank','{}','learned-6','{"enabled": true, "guards": true, "startup": 3, "audit": 0.0, "seed": 0, "risk": 0.1, "min_gain": 0.05, "max_expected_misses": 1.0, "prior_strength": 1.0}');
INSERT INTO "sweep_decisions" VALUES('fake',2,'window',4,1.79575374212792134281e+09,'continue','none',NULL,'waiting for finished trials: 2 of the 3 needed before any is pruned by rank','{}','learned-6','{"enabled": true, "guards": true, "startup": 3, "audit": 0.0, "seed": 0, "risk": 0.1, "min_gain": 0.05, "max_expected_misses": 1.0, "prior_strength": 1.0}');
INSERT INTO "sweep_decisions" VALUES('fake',3,'window',4,1.79575374525199556348e+09,'continue','rank',2.63150753173211626734e-01,'P(beats trial 2) = 0.26 >= risk 0.10 (0.23 before looking at it): early evaluation 1.1 sd better, training loss 1.1 sd below, raw gradient norm 1.1 sd below the cohort','{"rule": "rank", "samples": 32, "phase": 0, "in_other_phases": 0, "expected_misses_before": 0.0, "probability": 0.2631507531732116, "by_signals": 0.29302957440360644, "before": 0.23327193194281678, "incumbent": 2, "best": 1.4889314993971725, "spread": 1.3273355080158629, "num_finished": 3, "num_seen": 4, "norm": "grad_norm", "signals": {"early_eval": -1.0769945214635488, "loss": -1.072010105854421, "grad_norm": -1.0784020751376975}, "slopes": {"early_eval": 0.4296752520302764, "loss": -0.00029695369082579753, "grad_norm": 0.013849227597744748}, "effects": {"early_eval": -0.46275789244507726, "loss": 0.0003183373575360242, "grad_norm": -0.014935035780462206, "configuration": 0.02260202462410804}, "config_weight": 0.47730474724224237}','learned-6','{"enabled": true, "guards": true, "startup": 3, "audit": 0.0, "seed": 0, "risk": 0.1, "min_gain": 0.05, "max_expected_misses": 1.0, "prior_strength": 1.0}');
CREATE TABLE sweep_notes (
	id INTEGER NOT NULL, 
	study VARCHAR(200) NOT NULL, 
	at_s FLOAT NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE sweep_observations (
	study VARCHAR(200) NOT NULL, 
	trial INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	samples_seen BIGINT NOT NULL, 
	input_tokens_seen BIGINT NOT NULL, 
	loss_tokens_seen BIGINT NOT NULL, 
	loss FLOAT, 
	grad_norm FLOAT, 
	lr FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	grad_sq_noise_free FLOAT, 
	grad_sq_noise FLOAT, 
	phase INTEGER NOT NULL, 
	PRIMARY KEY (study, trial, step)
);
INSERT INTO "sweep_observations" VALUES('fake',0,1,8,80,40,4.81626700741303537256e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,2,16,160,80,3.81626700741303537256e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,3,24,240,120,3.4829336740797018912e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,4,32,320,160,3.31626700741303537256e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,5,40,400,200,3.21626700741303528374e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,6,48,480,240,3.14960034074636885392e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,7,56,560,280,3.10198129312732095996e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,8,64,640,320,3.06626700741303537256e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,9,72,720,360,3.03848922963525769347e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,10,80,800,400,3.0162670074130355502e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,11,88,880,440,2.99808518923121702925e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,12,96,960,480,2.9829336740797018912e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,13,104,1040,520,2.97011316125918911623e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,14,112,1120,560,2.95912415027017816626e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,15,120,1200,600,2.94960034074636867629e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,16,128,1280,640,2.94126700741303537256e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,17,136,1360,680,2.93391406623656481045e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,18,144,1440,720,2.92737811852414653301e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,19,152,1520,760,2.9215301653077720978e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,20,160,1600,800,2.91626700741303546138e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,21,168,1680,840,2.91150510265113071639e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,22,176,1760,880,2.90717609832212620091e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,23,184,1840,920,2.90322352915216574942e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,24,192,1920,960,2.89960034074636885392e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,25,200,2000,1000,2.89626700741303544361e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,26,208,2080,1040,2.89319008433611246644e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,27,216,2160,1080,2.8903410814871093315e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,28,224,2240,1120,2.88769557884160699146e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,29,232,2320,1160,2.88523252465441482073e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,30,240,2400,1200,2.88293367407970224647e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,31,248,2480,1240,2.88078313644529337977e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,32,256,2560,1280,2.87876700741303537256e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,33,264,2640,1320,2.87687306801909592479e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,34,272,2720,1360,2.8750905368248,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,35,280,2800,1400,2.8734098645558923124e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,36,288,2880,1440,2.87182256296859073074e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,37,296,2960,1480,2.87032106146708931859e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,38,304,3040,1520,2.86889858636040395722e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,39,312,3120,1560,2.86754905869508647242e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',0,40,320,3200,1600,2.86626700741303519492e+00,2.81626700741303537256e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,1,8,80,40,4.92635329879426286936e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,2,16,160,80,3.92635329879426286936e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,3,24,240,120,3.593019965460929388e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,4,32,320,160,3.42635329879426286936e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,5,40,400,200,3.32635329879426278054e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,6,48,480,240,3.25968663212759635072e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,7,56,560,280,3.21206758450854845676e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,8,64,640,320,3.17635329879426286936e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,9,72,720,360,3.14857552101648519027e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,10,80,800,400,3.126353298794263047e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,11,88,880,440,3.10817148061244452605e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,12,96,960,480,3.093019965460929388e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,13,104,1040,520,3.08019945264041661303e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,14,112,1120,560,3.06921044165140566306e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,15,120,1200,600,3.05968663212759617309e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,16,128,1280,640,3.05135329879426286936e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,17,136,1360,680,3.04400035761779230725e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,18,144,1440,720,3.03746440990537402981e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,19,152,1520,760,3.0316164566889995946e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,20,160,1600,800,3.02635329879426295818e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,21,168,1680,840,3.02159139403235821319e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,22,176,1760,880,3.01726238970335369771e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,23,184,1840,920,3.01330982053339324622e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,24,192,1920,960,3.00968663212759635072e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,25,200,2000,1000,3.00635329879426294041e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,26,208,2080,1040,3.00327637571734,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,27,216,2160,1080,3.0004273728683368283e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,28,224,2240,1120,2.99778187022283448825e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,29,232,2320,1160,2.99531881603564231753e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,30,240,2400,1200,2.99301996546092974327e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,31,248,2480,1240,2.99086942782652087657e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,32,256,2560,1280,2.98885329879426286936e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,33,264,2640,1320,2.98695935940032342159e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,34,272,2720,1360,2.98517682820602736626e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,35,280,2800,1400,2.98349615593712,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,36,288,2880,1440,2.98190885434981822754e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,37,296,2960,1480,2.98040735284831681539e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,38,304,3040,1520,2.97898487774163145402e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,39,312,3120,1560,2.97763535007631396922e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',1,40,320,3200,1600,2.97635329879426269172e+00,2.92635329879426286936e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,1,8,80,40,3.48893149939717250873e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,2,16,160,80,2.48893149939717250873e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,3,24,240,120,2.15559816606383902737e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,4,32,320,160,1.98893149939717250873e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,5,40,400,200,1.88893149939717241991e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,6,48,480,240,1.82226483273050576805e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,7,56,560,280,1.77464578511145809613e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,8,64,640,320,1.73893149939717250873e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,9,72,720,360,1.71115372161939482964e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,10,80,800,400,1.68893149939717246432e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,11,88,880,440,1.67074968121535438747e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,12,96,960,480,1.65559816606383924941e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,13,104,1040,520,1.6427776532433262524e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,14,112,1120,560,1.63178864225431530243e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,15,120,1200,600,1.62226483273050581246e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,16,128,1280,640,1.61393149939717250873e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,17,136,1360,680,1.60657855822070194662e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,18,144,1440,720,1.60004261050828366919e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,19,152,1520,760,1.59419465729190923397e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,20,160,1600,800,1.58893149939717259755e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,21,168,1680,840,1.58416959463526785256e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,22,176,1760,880,1.57984059030626333708e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,23,184,1840,920,1.57588802113630288559e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,24,192,1920,960,1.57226483273050576805e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,25,200,2000,1000,1.56893149939717257979e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,26,208,2080,1040,1.56585457632024938057e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,27,216,2160,1080,1.56300557347124646767e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,28,224,2240,1120,1.56036007082574390558e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,29,232,2320,1160,1.55789701663855173485e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,30,240,2400,1200,1.55559816606383916059e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,31,248,2480,1240,1.55344762842943051595e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,32,256,2560,1280,1.55143149939717250873e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,33,264,2640,1320,1.54953756000323306096e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,34,272,2720,1360,1.54775502880893722768e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,35,280,2800,1400,1.54607435654002967062e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,36,288,2880,1440,1.54448705495272808896e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,37,296,2960,1480,1.54298555345122645476e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,38,304,3040,1520,1.54156307834454087135e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,39,312,3120,1560,1.54021355067922383064e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',2,40,320,3200,1600,1.53893149939717255314e+00,1.48893149939717250873e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,1,8,80,40,3.40864007347274577952e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,2,16,160,80,2.40864007347274577952e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,3,24,240,120,2.07530674013941229816e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,4,32,320,160,1.90864007347274577952e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,5,40,400,200,1.8086400734727456907e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,6,48,480,240,1.74197340680607903884e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,7,56,560,280,1.69435435918703136692e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,8,64,640,320,1.65864007347274577952e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,9,72,720,360,1.63086229569496810043e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,10,80,800,400,1.60864007347274573511e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,11,88,880,440,1.59045825529092765826e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,12,96,960,480,1.5753067401394125202e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,13,104,1040,520,1.56248622731889952319e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,14,112,1120,560,1.55149721632988857322e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,15,120,1200,600,1.54197340680607908325e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,16,128,1280,640,1.53364007347274577952e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,17,136,1360,680,1.52628713229627521741e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,18,144,1440,720,1.51975118458385693998e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,19,152,1520,760,1.51390323136748250476e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,20,160,1600,800,1.50864007347274586834e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,21,168,1680,840,1.50387816871084112335e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,22,176,1760,880,1.49954916438183660787e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,23,184,1840,920,1.49559659521187615638e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,24,192,1920,960,1.49197340680607903884e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,25,200,2000,1000,1.48864007347274585058e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,26,208,2080,1040,1.48556315039582265136e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,27,216,2160,1080,1.48271414754681973846e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,28,224,2240,1120,1.48006864490131717637e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,29,232,2320,1160,1.47760559071412500564e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,30,240,2400,1200,1.47530674013941243138e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,31,248,2480,1240,1.47315620250500378674e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,32,256,2560,1280,1.47114007347274577952e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,33,264,2640,1320,1.46924613407880633175e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,34,272,2720,1360,1.46746360288451049846e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,35,280,2800,1400,1.46578293061560294141e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,36,288,2880,1440,1.46419562902830135975e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,37,296,2960,1480,1.46269412752679972555e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,38,304,3040,1520,1.46127165242011414214e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,39,312,3120,1560,1.45992212475479710143e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
INSERT INTO "sweep_observations" VALUES('fake',3,40,320,3200,1600,1.45864007347274582393e+00,1.40864007347274577952e+00,0.001,0.01,NULL,NULL,0);
CREATE TABLE sweep_studies (
	study VARCHAR(200) NOT NULL, 
	created_s FLOAT NOT NULL, 
	document TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	predictor VARCHAR(80) NOT NULL, 
	PRIMARY KEY (study)
);
INSERT INTO "sweep_studies" VALUES('fake',1.79575373524784350398e+09,'{"name": "fake", "model": {"base": "./base", "tuning": "full", "lora": {"rank": 16, "alpha": 32.0, "dropout": 0.0, "targets": "all-linear", "modules_to_save": null}, "dtype": "bfloat16", "weights": "float32", "gradient_checkpointing": false, "compile": false, "liger": false, "attention": "auto", "padding_free": "auto", "micro_batch": "auto", "parallel": "none", "trust_remote_code": false}, "data": {"train": "./train.jsonl", "eval": "./eval.jsonl", "phases": [], "replay": 0.0, "reset_optimizer": false, "format": "auto", "template": "auto", "system": null, "max_length": 1024, "loss_on": "completion"}, "budget": {"samples": 320}, "search": {"sampler": "random", "recipes": [], "space": {"learning_rate": {"low": 1e-05, "high": 0.1, "log": true}, "batch_size": {"choices": [4, 8]}, "schedule": "constant", "warmup_ratio": 0.0, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.95, "clip": 1.0, "strategy": "stacked"}}, "objective": {"metric": "eval_loss", "data": null, "shape": "auto", "also": []}, "pruning": {"enabled": true, "window": 0.1, "min_steps": 2, "startup": 3, "risk": 0.1, "min_gain": 0.05, "max_expected_misses": 1.0, "audit": 0.0, "early_eval": 64, "prior_strength": 1.0, "history": [], "guards": true, "stop": false}, "run": {"trials": 4, "workers": 1, "processes_per_trial": 1, "seed": 0, "retries": 1, "max_hours": null, "confirm": {"top": 0, "seeds": 2}, "keep": "best", "checkpoints": 2, "storage": "auto", "silence_minutes": 30.0, "grace_s": 60.0, "wait_minutes": 10.0}}','{"num_params": 1000, "train": {"rows": 1000, "rows_read": 1003, "dropped_no_completion": 3, "dropped_too_short": 0, "truncated": 0, "input_tokens": 10000, "loss_tokens": 5000, "longest": 12, "longest_read": 12}, "eval": {"rows": 100, "rows_read": 100, "dropped_no_completion": 0, "dropped_too_short": 0, "truncated": 0, "input_tokens": 1000, "loss_tokens": 500, "longest": 12, "longest_read": 12}, "choices": null, "duplicates": 0, "duplicates_choices": 0, "repeated": 0, "max_length": 1024, "phases": null, "notes": {"train": [{"what": "dropped", "rows": 3, "first": "train.jsonl, line 7"}]}, "shapes": {"train": "text", "eval": "text"}, "sources": {"train": {"path": "/tmp/drv/rec/tmpua2bibxb/train.jsonl", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}, "eval": {"path": "/tmp/drv/rec/tmpua2bibxb/eval.jsonl", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}, "base_measurements": {"eval_loss": {"value": 3.0, "num": 500, "input_tokens": 1000, "seconds": 0.1, "groups": {}}}, "model": {"files": {}, "digest": "4f53cda18c2baa0c0354bb5f9a3ecbe5", "revision": null}, "versions": {"torch": "2.13.0+cpu", "transformers": "5.23.0", "trl": "1.16.0", "peft": "0.21.2", "accelerate": "1.15.0", "tokenizers": "0.23.3", "device": "cpu"}}','learned-6');
CREATE TABLE sweep_trials (
	study VARCHAR(200) NOT NULL, 
	number INTEGER NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	params TEXT NOT NULL, 
	recipe VARCHAR(80), 
	num_steps INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	planned_flops FLOAT NOT NULL, 
	window TEXT, 
	measurements TEXT, 
	objective FLOAT, 
	error TEXT, 
	PRIMARY KEY (study, number)
);
INSERT INTO "sweep_trials" VALUES('fake',0,'completed','{"learning_rate": 0.06550387729063863, "batch_size": 8, "schedule": "constant", "warmup_ratio": 0.0, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.95, "clip": 1.0}',NULL,40,1,0,21200000.0,'{"samples": 32, "loss": 3.399600340746369, "grad_norm": 2.8162670074130354, "grad_norm_noise_free": null, "early_eval": 2.9162670074130355, "phase": 0, "early_eval_num": 50}','{"eval_loss": {"value": 2.8162670074130354, "num": 500, "input_tokens": 1000, "seconds": 0.02, "groups": {}}}',2.81626700741303537256e+00,NULL);
INSERT INTO "sweep_trials" VALUES('fake',1,'completed','{"learning_rate": 0.08440210901706634, "batch_size": 8, "schedule": "constant", "warmup_ratio": 0.0, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.95, "clip": 1.0}',NULL,40,1,0,21200000.0,'{"samples": 32, "loss": 3.509686632127596, "grad_norm": 2.926353298794263, "grad_norm_noise_free": null, "early_eval": 3.026353298794263, "phase": 0, "early_eval_num": 50}','{"eval_loss": {"value": 2.926353298794263, "num": 500, "input_tokens": 1000, "seconds": 0.02, "groups": {}}}',2.92635329879426286936e+00,NULL);
INSERT INTO "sweep_trials" VALUES('fake',2,'completed','{"learning_rate": 0.0003243907789746751, "batch_size": 8, "schedule": "constant", "warmup_ratio": 0.0, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.95, "clip": 1.0}',NULL,40,1,0,21200000.0,'{"samples": 32, "loss": 2.072264832730506, "grad_norm": 1.4889314993971725, "grad_norm_noise_free": null, "early_eval": 1.5889314993971726, "phase": 0, "early_eval_num": 50}','{"eval_loss": {"value": 1.4889314993971725, "num": 500, "input_tokens": 1000, "seconds": 0.02, "groups": {}}}',1.48893149939717250873e+00,NULL);
INSERT INTO "sweep_trials" VALUES('fake',3,'completed','{"learning_rate": 0.002562359571452116, "batch_size": 8, "schedule": "constant", "warmup_ratio": 0.0, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.95, "clip": 1.0}',NULL,40,1,0,21200000.0,'{"samples": 32, "loss": 1.991973406806079, "grad_norm": 1.4086400734727458, "grad_norm_noise_free": null, "early_eval": 1.5086400734727459, "phase": 0, "early_eval_num": 50}','{"eval_loss": {"value": 1.4086400734727458, "num": 500, "input_tokens": 1000, "seconds": 0.02, "groups": {}}}',1.40864007347274577952e+00,NULL);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,32,2.91626700741303546138e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,2,32,3.02635329879426295818e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,3,32,1.58893149939717259755e+00,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,4,32,1.50864007347274586834e+00,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'learning_rate',6.55038772906386262961e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(2,1,'batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [4, 8]}}');
INSERT INTO "trial_params" VALUES(3,2,'learning_rate',8.4402109017066337393e-02,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(4,2,'batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [4, 8]}}');
INSERT INTO "trial_params" VALUES(5,3,'learning_rate',3.24390778974675104365e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(6,3,'batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [4, 8]}}');
INSERT INTO "trial_params" VALUES(7,4,'learning_rate',2.56235957145211582647e-03,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
INSERT INTO "trial_params" VALUES(8,4,'batch_size',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [4, 8]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,2.81626700741303537256e+00,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,2.92635329879426286936e+00,'FINITE');
INSERT INTO "trial_values" VALUES(3,3,0,1.48893149939717250873e+00,'FINITE');
INSERT INTO "trial_values" VALUES(4,4,0,1.40864007347274577952e+00,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-27 04:28:58.330366','2026-11-27 04:28:59.956715');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-11-27 04:29:00.278417','2026-11-27 04:29:01.324124');
INSERT INTO "trials" VALUES(3,2,1,'COMPLETE','2026-11-27 04:29:01.564477','2026-11-27 04:29:02.429774');
INSERT INTO "trials" VALUES(4,3,1,'COMPLETE','2026-11-27 04:29:02.698100','2026-11-27 04:29:05.592052');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX ix_sweep_notes_study ON sweep_notes (study);
COMMIT;